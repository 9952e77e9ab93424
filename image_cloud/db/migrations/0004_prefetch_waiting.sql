-- What waits for another try, by domain: a dead domain's URLs end together.
CREATE INDEX prefetch_requests_waiting ON prefetch_requests (domain) WHERE NOT ready AND owner IS NULL;
