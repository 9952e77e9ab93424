-- Prefetch: a durable queue. Rows are removed when they are worked off, so count(*) is the backlog.
-- Names are compared byte by byte (COLLATE "C"): much quicker than by any language's rules.

-- One row per POST /fire_and_forget. waiting = total - done - failed.
CREATE TABLE prefetch_batches (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    client text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    priority smallint NOT NULL,
    thumbnails integer[] NOT NULL,
    total integer NOT NULL DEFAULT 0,
    already_cached integer NOT NULL DEFAULT 0,
    duplicates integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    failures jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE INDEX prefetch_batches_finished ON prefetch_batches (finished_at) WHERE finished_at IS NOT NULL;

-- One row per URL that waits or is worked on. `ready`: may be claimed now. Not ready: `next_at` is when
-- it becomes so, after a failure, or when the lease of `owner` (a daemon) ends.
CREATE TABLE prefetch_requests (
    key text COLLATE "C" PRIMARY KEY,
    url text NOT NULL,
    domain text COLLATE "C" NOT NULL,
    batch uuid NOT NULL,
    turn bigint NOT NULL,
    priority smallint NOT NULL,
    thumbnails integer[] NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    ready boolean NOT NULL DEFAULT true,
    next_at timestamptz,
    owner uuid,
    last_code text,
    last_detail text,
    CHECK (ready OR next_at IS NOT NULL)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX prefetch_requests_ready ON prefetch_requests (domain, priority DESC, turn) WHERE ready;
CREATE INDEX prefetch_requests_later ON prefetch_requests (next_at) WHERE NOT ready;
CREATE INDEX prefetch_requests_owner ON prefetch_requests (owner) WHERE owner IS NOT NULL;

-- Further batches that wait for a URL which waited already.
CREATE TABLE prefetch_followers (
    key text COLLATE "C" NOT NULL,
    batch uuid NOT NULL,
    PRIMARY KEY (key, batch)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- One row per domain that has something ready: whose turn it is. Served ones go to the end, domains that
-- are left alone into the future. Who makes a row ready, or finds none, locks the domain's row here.
CREATE TABLE prefetch_domains (
    domain text COLLATE "C" PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX prefetch_domains_turn ON prefetch_domains (next_at);

-- What stands in a batch's failures.
CREATE TABLE prefetch_failures (
    batch uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    url text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch, key)
);
