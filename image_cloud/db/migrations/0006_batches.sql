-- Batches are listed, cancelled and retried, and their end is told to whoever asked for it.
-- total = done + failed + cancelled + waiting.
ALTER TABLE prefetch_batches
    ADD COLUMN cancelled integer NOT NULL DEFAULT 0,
    -- From then on nothing of the batch is tried again; it ends with the last download under way.
    ADD COLUMN cancelled_at timestamptz,
    ADD COLUMN retried_at timestamptz,
    ADD COLUMN callback text,
    -- The receiver's host: one that hangs holds up no other.
    ADD COLUMN callback_host text,
    ADD COLUMN callback_tries smallint NOT NULL DEFAULT 0,
    -- Not before then, once the batch has ended.
    ADD COLUMN callback_at timestamptz,
    ADD COLUMN callback_over boolean NOT NULL DEFAULT false,
    -- What became of the last try: empty where it was taken.
    ADD COLUMN callback_code text;

CREATE UNIQUE INDEX prefetch_batches_number ON prefetch_batches (number);
CREATE INDEX prefetch_batches_client ON prefetch_batches (client, number);
CREATE INDEX prefetch_batches_cancelling ON prefetch_batches (id)
    WHERE cancelled_at IS NOT NULL AND finished_at IS NULL;
CREATE INDEX prefetch_batches_callback ON prefetch_batches ((coalesce(callback_at, finished_at)))
    WHERE callback IS NOT NULL AND NOT callback_over AND finished_at IS NOT NULL;

-- What waits for one batch.
CREATE INDEX prefetch_requests_batch ON prefetch_requests (batch);
CREATE INDEX prefetch_followers_batch ON prefetch_followers (batch);
