"""ICC profiles for pictures that tell their colours in numbers instead; nothing is applied here."""
