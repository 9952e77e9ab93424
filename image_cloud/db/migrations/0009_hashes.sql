-- Difference hashes of pictures, to search for near-duplicates (image_cloud/picture/dhash.py). Apart from the catalogue:
-- what stores pictures has no index more to keep. A row counts only where its version is that of the catalogue's row.
CREATE TABLE hashes (
    key text PRIMARY KEY,
    version bigint NOT NULL,  -- the first 64 bits of the original's SHA-256
    code bigint NOT NULL,     -- the hash's 64 bits, part by part
    -- The same, turned so that another of its four parts comes first.
    code_16 bigint NOT NULL GENERATED ALWAYS AS ((code << 16) | ((code >> 48) & 65535)) STORED,
    code_32 bigint NOT NULL GENERATED ALWAYS AS ((code << 32) | ((code >> 32) & 4294967295)) STORED,
    code_48 bigint NOT NULL GENERATED ALWAYS AS ((code << 48) | ((code >> 16) & 281474976710655)) STORED
);
CREATE INDEX hashes_code ON hashes (code);
CREATE INDEX hashes_code_16 ON hashes (code_16);
CREATE INDEX hashes_code_32 ON hashes (code_32);
CREATE INDEX hashes_code_48 ON hashes (code_48);
