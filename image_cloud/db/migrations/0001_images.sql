-- The catalogue: one row per original. The key is the hex HMAC-SHA256 of the URL (image_cloud/picture/key.py).
CREATE TABLE images (
    key text PRIMARY KEY CHECK (key ~ '^[0-9a-f]{64}$'),
    url text NOT NULL,
    host text NOT NULL,
    format text NOT NULL,
    width integer,
    height integer,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    stored_at timestamptz NOT NULL,
    stored_from text NOT NULL
);

CREATE INDEX images_host ON images (host);
