-- Current rows: per corpus and stage the active (newest) configuration, and of every table the rows made by it.
-- A row is current when its fingerprint chains the active configuration and the fingerprint of its current input row.

-- Each codec has an active configuration of its own, so that codes of several are current side by side. `is_newest`
-- marks the one of a corpus and stage that was activated last.
CREATE VIEW active_configurations AS
WITH newest AS (
    SELECT corpus, stage, CASE WHEN stage = 'quantize' THEN options ->> '$.codec' END AS variant,
           arg_max(configuration, activated_at) AS configuration, arg_max(options, activated_at) AS options,
           max(activated_at) AS activated_at
    FROM configurations
    GROUP BY ALL
)
SELECT *, activated_at = max(activated_at) OVER (PARTITION BY corpus, stage) AS is_newest FROM newest;

-- Folders that were moved since recordings in them were read; ingestion of the new folder finds them.
CREATE VIEW moved_roots AS
SELECT corpus, moved.old_root, moved.new_root
FROM (
    SELECT corpus,
           unnest(from_json(options, '{"moved": [{"old_root": "VARCHAR", "new_root": "VARCHAR"}]}').moved) AS moved
    FROM active_configurations WHERE stage = 'ingest'
);

-- The newest row of each recording, with its present path; of recordings with the same bytes (and channel) the first
-- that was listed is used.
CREATE VIEW current_recordings AS
WITH newest AS (
    SELECT r.* REPLACE (
        CASE WHEN m.new_root IS NULL THEN r.path ELSE m.new_root || substr(r.path, length(m.old_root) + 1) END AS path
    )
    FROM recordings r
    LEFT JOIN moved_roots m ON m.corpus = r.corpus AND starts_with(r.path, m.old_root || '/')
    QUALIFY row_number() OVER (PARTITION BY recording_id ORDER BY ingested_at DESC, fingerprint) = 1
), ranked AS (
    SELECT *, first_value(recording_id) OVER (
        PARTITION BY corpus, content_hash, channel, drop_reason IS NULL ORDER BY ingested_at, recording_id
    ) AS first_copy
    FROM newest
)
SELECT * EXCLUDE (first_copy) REPLACE (
    CASE WHEN drop_reason IS NULL AND first_copy <> recording_id THEN 'duplicate' ELSE drop_reason END AS drop_reason,
    CASE WHEN drop_reason IS NULL AND first_copy <> recording_id THEN 'same bytes as ' || first_copy
         ELSE drop_detail END AS drop_detail
)
FROM ranked;

-- Current segments with the columns of their recording that the stages need: planning pays this join for every row.
CREATE VIEW segments_of_recordings AS
SELECT s.*, r.path, r."offset", CASE WHEN r.member IS NULL THEN 0 ELSE r.size END AS size, r.sample_rate,
       r.num_samples AS recording_samples, r.text AS recording_text, r.language,
       r.channel
FROM segments s
JOIN active_configurations c ON c.corpus = s.corpus AND c.stage = 'segment'
JOIN current_recordings r ON r.recording_id = s.recording_id
WHERE r.drop_reason IS NULL AND s.fingerprint = md5(c.configuration || ':' || r.fingerprint);

CREATE VIEW current_segments AS
SELECT * EXCLUDE (path, "offset", size, sample_rate, recording_samples, recording_text, language, channel)
FROM segments_of_recordings;

CREATE VIEW current_transcripts AS
SELECT t.*
FROM transcripts t
JOIN active_configurations c ON c.corpus = t.corpus AND c.stage = 'transcribe'
JOIN current_segments s ON s.segment_id = t.segment_id
WHERE s.drop_reason IS NULL AND t.fingerprint = md5(c.configuration || ':' || s.fingerprint);

CREATE VIEW current_alignments AS
SELECT a.*
FROM alignments a
JOIN active_configurations c ON c.corpus = a.corpus AND c.stage = 'align'
JOIN current_transcripts t ON t.segment_id = a.segment_id
WHERE t.drop_reason IS NULL AND a.fingerprint = md5(c.configuration || ':' || t.fingerprint);

CREATE VIEW current_phonemes AS
SELECT p.*
FROM phonemes p
JOIN active_configurations c ON c.corpus = p.corpus AND c.stage = 'phonemize'
JOIN current_transcripts t ON t.segment_id = p.segment_id
WHERE t.drop_reason IS NULL AND p.fingerprint = md5(c.configuration || ':' || t.fingerprint);

CREATE VIEW current_quality AS
SELECT q.*
FROM quality q
JOIN active_configurations c ON c.corpus = q.corpus AND c.stage = 'quality'
JOIN current_segments s ON s.segment_id = q.segment_id
WHERE s.drop_reason IS NULL AND q.fingerprint = md5(c.configuration || ':' || s.fingerprint);

CREATE VIEW current_speakers AS
SELECT v.*
FROM speakers v
JOIN active_configurations c ON c.corpus = v.corpus AND c.stage = 'speakers'
JOIN current_segments s ON s.segment_id = v.segment_id
WHERE s.drop_reason IS NULL AND v.fingerprint = md5(c.configuration || ':' || s.fingerprint);

CREATE VIEW current_mixtures AS
SELECT m.*
FROM mixtures m
JOIN active_configurations c ON c.corpus = m.corpus AND c.stage = 'mix'
JOIN current_segments s ON s.segment_id = m.segment_id
WHERE s.drop_reason IS NULL AND m.fingerprint = md5(c.configuration || ':' || s.fingerprint);

-- The codes of every codec. `codec_rate` is its sample rate in Hz.
CREATE VIEW current_codes AS
SELECT k.*, c.is_newest, (c.options ->> '$.sample_rate')::INTEGER AS codec_rate
FROM codes k
JOIN active_configurations c ON c.corpus = k.corpus AND c.stage = 'quantize'
JOIN current_segments s ON s.segment_id = k.segment_id
WHERE s.drop_reason IS NULL AND k.fingerprint = md5(c.configuration || ':' || s.fingerprint);
