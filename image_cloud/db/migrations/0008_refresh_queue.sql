-- Old pictures wait in the prefetch queue, too.  max_age: a picture that is here is asked for again where it was last
-- seen at its origin longer ago (seconds); NULL: only what is not here is fetched.  Those that no batch wants belong to
-- the batch 00000000-0000-0000-0000-000000000000, which is in no table.
ALTER TABLE prefetch_requests ADD COLUMN max_age double precision;
ALTER TABLE prefetch_batches ADD COLUMN max_age integer;
