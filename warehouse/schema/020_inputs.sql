-- Input rows of the stages: current rows of the table before, joined with what a stage needs of the recording.
-- `fingerprint` is the input's; the output's is chained from it and from the configuration of the stage.

CREATE VIEW input_recordings AS
SELECT recording_id AS id, recording_id, corpus, shard, fingerprint,
       -- A plain file is read whole; only a member of an archive is a range of bytes.
       path, "offset", CASE WHEN member IS NULL THEN 0 ELSE size END AS size, 0::BIGINT AS start_sample, num_samples, sample_rate, duration, text, language, spans,
       span_texts, channel
FROM current_recordings
WHERE drop_reason IS NULL;

CREATE VIEW input_segments AS
SELECT segment_id AS id, recording_id, corpus, shard, fingerprint, path, "offset", size, start_sample, num_samples,
       sample_rate, duration,
       -- The corpus's text is that of the whole recording: only a segment that covers the recording gets it.
       CASE WHEN given_text IS NOT NULL THEN given_text
            WHEN cut = 'given' AND num_samples >= 0.95 * recording_samples THEN recording_text END AS text,
       language, NULL::STRUCT("start" DOUBLE, "end" DOUBLE)[] AS spans, NULL::VARCHAR[] AS span_texts, channel
FROM segments_of_recordings
WHERE drop_reason IS NULL;

CREATE VIEW input_transcripts AS
SELECT t.segment_id AS id, s.recording_id, t.corpus, t.shard, t.fingerprint,
       s.path, s."offset", s.size, s.start_sample, s.num_samples, s.sample_rate,
       s.duration, t.text, t.language, NULL::STRUCT("start" DOUBLE, "end" DOUBLE)[] AS spans,
       NULL::VARCHAR[] AS span_texts, s.channel
FROM current_transcripts t
JOIN segments_of_recordings s ON s.segment_id = t.segment_id
WHERE t.drop_reason IS NULL;
