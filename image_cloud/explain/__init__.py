"""Why a picture is, or is not, here: everything that the node and its peers know of one URL."""
