-- What is tried in vain again and again: operators look at it.
CREATE INDEX clone_requests_stuck ON clone_requests (attempts) WHERE attempts >= 3;
