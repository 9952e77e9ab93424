-- What streams take, and what is asked for picture by picture beside them.
CREATE INDEX clone_requests_new ON clone_requests (peer, not_before) WHERE attempts = 0;
CREATE INDEX clone_requests_again ON clone_requests (not_before) WHERE attempts > 0;
