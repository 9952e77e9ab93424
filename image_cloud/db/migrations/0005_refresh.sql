-- Refresh: what origins recognise pictures by, and when each was last asked for.

-- NULL in checked_at: not since it was stored.  asked_at is from when on the age counts that decides whether the
-- origin is asked again unbidden: after a failed check, that is a while before it is due once more.
ALTER TABLE images
    ADD COLUMN etag text,
    ADD COLUMN last_modified text,
    ADD COLUMN final_key text,
    ADD COLUMN checked_at timestamptz,
    ADD COLUMN asked_at timestamptz,
    ADD COLUMN gone smallint NOT NULL DEFAULT 0;  -- how often in a row the origin said that there is none

CREATE INDEX images_age ON images ((coalesce(asked_at, stored_at)), key) WHERE deleted_at IS NULL;
CREATE INDEX images_gone ON images (gone) WHERE gone > 0;

ALTER TABLE clone_requests
    ADD COLUMN etag text,
    ADD COLUMN last_modified text,
    ADD COLUMN final_key text,
    ADD COLUMN checked_at timestamptz;

-- What a peer told of a check must not come back to it as news: an update of these columns alone moves no row.
CREATE OR REPLACE FUNCTION images_move_to_feed_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xid := pg_current_xact_id();
    NEW.change := nextval('images_change');
    NEW.changed_at := clock_timestamp();
    -- The release before knows no validators: those of other bytes must not stay.
    IF NEW.sha256 IS DISTINCT FROM OLD.sha256 AND NEW.etag IS NOT DISTINCT FROM OLD.etag
       AND NEW.last_modified IS NOT DISTINCT FROM OLD.last_modified
    THEN
        NEW.etag := NULL; NEW.last_modified := NULL; NEW.final_key := NULL;
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER images_moved ON images;
CREATE TRIGGER images_moved BEFORE UPDATE OF
    key, url, host, format, width, height, bytes, sha256, stored_at, stored_from, deleted_at, blocked ON images
    FOR EACH ROW EXECUTE FUNCTION images_move_to_feed_end();
DROP TRIGGER images_changed ON images;
CREATE TRIGGER images_changed AFTER INSERT OR UPDATE OF
    key, url, host, format, width, height, bytes, sha256, stored_at, stored_from, deleted_at, blocked ON images
    FOR EACH STATEMENT EXECUTE FUNCTION images_notify();
