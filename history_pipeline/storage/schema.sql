-- The tables of the warehouse that the pipeline itself writes. dbt reads them and no others.
-- No table has a primary key: an upsert against one is a hundred times slower than
-- delete and insert; uniqueness is the loader's duty and is tested by dbt.
create schema if not exists raw_gws;

-- one row per interaction
create table if not exists raw_gws.interactions (
    interaction_id varchar not null,
    contact_id varchar,
    requested_contact_id varchar not null,
    media_type varchar,
    type_id varchar,
    state varchar,
    subject varchar,
    uri varchar,
    started_at timestamptz not null,
    ended_at timestamptz,
    started_at_text varchar not null,
    ended_at_text varchar,
    owner_id varchar,
    owner_user_name varchar,
    owner_first_name varchar,
    owner_last_name varchar,
    source varchar not null,
    seen_in_main boolean not null,
    seen_in_archive boolean not null,
    extra json,
    window_date date not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null
);

-- one row per interaction and state in which the warehouse no longer has it: since when it was seen
-- so, and when it was first seen otherwise. `is_beside` marks one that still lies in a day's file,
-- beside the copy that has won over it.
create table if not exists raw_gws.interaction_versions (
    interaction_id varchar not null,
    contact_id varchar,
    requested_contact_id varchar not null,
    media_type varchar,
    type_id varchar,
    state varchar,
    subject varchar,
    uri varchar,
    started_at timestamptz not null,
    ended_at timestamptz,
    started_at_text varchar not null,
    ended_at_text varchar,
    owner_id varchar,
    owner_user_name varchar,
    owner_first_name varchar,
    owner_last_name varchar,
    source varchar not null,
    seen_in_main boolean not null,
    seen_in_archive boolean not null,
    extra json,
    window_date date not null,
    unchanged_since timestamptz not null,
    superseded_at timestamptz not null,
    is_beside boolean not null
);

-- one row per interaction and name
create table if not exists raw_gws.interaction_attributes (
    interaction_id varchar not null,
    name varchar not null,
    value varchar,
    value_type varchar not null
);

-- one row per contact
create table if not exists raw_gws.contacts (
    contact_id varchar not null,
    attributes json,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null
);

-- one row per run, window and source; kept for ever
create table if not exists raw_gws.runs (
    run_id varchar not null,
    window_start date not null,
    window_end date not null,
    source varchar not null,
    planned bigint not null,
    answered bigint not null,
    unavailable bigint not null,
    gone bigint not null,
    failed bigint not null,
    interactions bigint not null,
    rejects bigint not null,
    fingerprint varchar not null,
    started_at timestamptz not null,
    finished_at timestamptz not null
);

-- one row per run and window: what the run can show for itself (`certificates.py`). `interactions`,
-- `attributes` and `content_hash` are of the window's days as the run's load has left them.
create table if not exists raw_gws.certificates (
    run_id varchar not null,
    window_start date not null,
    window_end date not null,
    planned bigint not null,
    answered bigint not null,
    unavailable bigint not null,
    gone bigint not null,
    failed bigint not null,
    interactions bigint not null,
    attributes bigint not null,
    rejects bigint not null,
    content_hash varchar not null,
    fingerprint varchar not null,
    loaded_at timestamptz not null
);

-- the ledger: one row per run, contact, window and source
create table if not exists raw_gws.requests (
    run_id varchar not null,
    contact_id varchar not null,
    window_start date not null,
    window_end date not null,
    source varchar not null,
    state varchar not null,
    interactions bigint not null,
    rejects bigint not null,
    attempts integer not null,
    seconds double not null,
    error varchar,
    finished_at timestamptz not null
);

-- the ledger of discovery (`HISTORY_CONTACTS=activity`): one row per question about all contacts'
-- interactions. The dates are as they were sent; `media_type` null is all of them; `state` is
-- answered, refused or failed; `nobodys` counts the records without a contact.
create table if not exists raw_gws.discovery_requests (
    run_id varchar not null,
    from_date date not null,
    to_date date not null,
    source varchar not null,
    media_type varchar,
    sort varchar not null,
    max_size bigint not null,
    state varchar not null,
    records bigint not null,
    nobodys bigint not null,
    attempts integer not null,
    seconds double not null,
    error varchar,
    finished_at timestamptz not null
);

-- one row per record set aside
create table if not exists raw_gws.rejects (
    reject_id varchar not null,
    reason varchar not null,
    requested_contact_id varchar not null,
    window_start date not null,
    source varchar not null,
    payload varchar not null,
    seen_at timestamptz not null,
    resolved_at timestamptz
);

-- one row per contact, source and span of days: how these days stand. Spans of one contact and
-- source do not overlap. Kept for ever, where the ledger keeps 30 days.
create table if not exists raw_gws.coverage (
    contact_id varchar not null,
    source varchar not null,
    span_start date not null,
    span_end date not null,
    state varchar not null,
    is_whole boolean not null,
    finished_at timestamptz not null
);

-- one row per run and window: what a run may claim; none for one that has asked again for what was
-- open, which claims nothing of its days. `contact_source` is gws, file or activity;
-- `is_whole` is false where a media type or a search narrowed the run; `is_discovery_complete`
-- is false where an activity listing stayed cut, or a run that asked the rest made none.
create table if not exists raw_gws.run_scopes (
    run_id varchar not null,
    window_start date not null,
    window_end date not null,
    contact_source varchar not null,
    is_whole boolean not null,
    is_discovery_complete boolean not null,
    custom_attributes varchar not null,
    server_timezone varchar not null,
    started_at timestamptz not null
);

-- internal: one row per interaction id and day, only for ids that were seen on several days
create table if not exists raw_gws.moved_interactions (
    interaction_id varchar not null,
    window_date date not null
);

-- internal: one row per open interaction and source: when the contact that it is known of was last
-- asked for its day, whatever the answer held
create table if not exists raw_gws.open_asked (
    interaction_id varchar not null,
    source varchar not null,
    asked_at timestamptz not null
);

-- internal: one row per lake file that has been loaded, as it was when it was loaded
create table if not exists raw_gws.loaded_files (
    path varchar not null,
    size bigint not null,
    modified_ns bigint not null,
    loaded_at timestamptz not null
);

-- internal: one row per interaction that loads have written since the models were last built as a
-- whole; nothing is noted before they were built at all
create table if not exists raw_gws.changed_interactions (
    interaction_id varchar not null
);

-- internal: one row; counts loads, and tells which of them the models were last built over, and
-- which models, with which settings, they were
create table if not exists raw_gws.load_state (
    loads bigint not null,
    modelled bigint not null,
    format integer not null,
    modelled_as varchar
);
