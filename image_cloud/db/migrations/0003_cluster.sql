-- Four nodes: the change feed, tombstones, peers and the clone queue.

-- Where a row stands in the feed: (xid, change).  xid is the transaction that wrote the row last; only rows
-- below the oldest running transaction are handed out, so none is overtaken by a later number.
CREATE SEQUENCE images_change;
ALTER TABLE images
    ALTER COLUMN format DROP NOT NULL,
    ALTER COLUMN bytes DROP NOT NULL,
    ALTER COLUMN sha256 DROP NOT NULL,
    ALTER COLUMN stored_at DROP NOT NULL,
    ALTER COLUMN stored_from DROP NOT NULL,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN blocked boolean NOT NULL DEFAULT false,
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN change bigint NOT NULL DEFAULT nextval('images_change'),
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A row without deleted_at is a picture that is here; with it, a tombstone.
    ADD CONSTRAINT images_live CHECK (
        deleted_at IS NOT NULL
        OR (format IS NOT NULL AND bytes IS NOT NULL AND sha256 IS NOT NULL
            AND stored_at IS NOT NULL AND stored_from IS NOT NULL)),
    ADD CONSTRAINT images_blocked CHECK (deleted_at IS NOT NULL OR NOT blocked);
ALTER SEQUENCE images_change OWNED BY images.change;

CREATE INDEX images_feed ON images (xid, change);
CREATE INDEX images_tombstones ON images (deleted_at) WHERE deleted_at IS NOT NULL;

-- Whoever changes a row, psql included, moves it to the feed's end.
CREATE FUNCTION images_move_to_feed_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xid := pg_current_xact_id();
    NEW.change := nextval('images_change');
    NEW.changed_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER images_moved BEFORE UPDATE ON images
    FOR EACH ROW EXECUTE FUNCTION images_move_to_feed_end();

-- Wakes those who wait in /changes.
CREATE FUNCTION images_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('image_cloud_changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER images_changed AFTER INSERT OR UPDATE ON images
    FOR EACH STATEMENT EXECUTE FUNCTION images_notify();

-- One row: which feed this is.  A restored or new database becomes a new epoch.
CREATE TABLE feed (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT gen_random_uuid(),
    placement text NOT NULL DEFAULT ''  -- which nodes and replicas the cursors were read for
);
INSERT INTO feed DEFAULT VALUES;

-- How far each peer's feed has been read: the cursor is the peer's own text.
CREATE TABLE peers (
    name text PRIMARY KEY,
    url text NOT NULL,
    epoch text NOT NULL DEFAULT '',
    cursor text NOT NULL DEFAULT '',
    last_seen timestamptz,
    caught_up_at timestamptz,
    backlog bigint
);

-- What is still to be cloned: count(*) is the backlog, rows go when they are done.
CREATE TABLE clone_requests (
    key text PRIMARY KEY,
    url text NOT NULL,
    host text NOT NULL,
    format text NOT NULL,
    width integer,
    height integer,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    stored_at timestamptz NOT NULL,
    peer text NOT NULL,                            -- whose feed told of it: asked first
    requested_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz NOT NULL DEFAULT now(), -- next try; while one runs, the end of its lease
    attempts integer NOT NULL DEFAULT 0,
    last_error text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX clone_requests_next ON clone_requests (not_before);
