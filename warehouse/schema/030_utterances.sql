-- Utterances: segments that passed every stage, with every column that a selection may use. Quality and speakers
-- never exclude an utterance; without them its columns are null. Below a `rate_ratio` of 1 the codec encodes a band
-- of frequencies that the recording does not have.

-- The newest verdict of a listener on each segment.
CREATE VIEW current_reviews AS
SELECT * FROM reviews QUALIFY row_number() OVER (PARTITION BY segment_id ORDER BY reviewed_at DESC, review_id) = 1;

-- A row per segment and codec.
CREATE VIEW coded_utterances AS
SELECT s.segment_id, s.recording_id, s.corpus, r.subset, s.shard, r.speaker, coalesce(t.language, r.language) AS language,
       r.licence, r.origin, r.book, r.genre, t.text, t.asr_text, t.given_text, t.disagreement, t.average_logprob,
       t.no_speech_probability, t.characters_per_second, p.symbols, p.num_symbols, p.num_unknown,
       s.start, s.duration, s.cut, k.num_frames, k.codec, k.fingerprint AS codes_fingerprint, k.is_newest,
       r.sample_rate / k.codec_rate AS rate_ratio,
       q.dnsmos_ovrl, q.dnsmos_p808, q.distillmos, q.snr AS quality_snr, q.bandwidth, q.loudness, q.clipping,
       r.snr AS corpus_snr, r.dnsmos AS corpus_dnsmos, v.embedding, w.verdict,
       r.path, r."offset", CASE WHEN r.member IS NULL THEN 0 ELSE r.size END AS size, s.start_sample, s.num_samples, r.sample_rate, r.channel
FROM current_segments s
JOIN current_recordings r ON r.recording_id = s.recording_id
JOIN current_transcripts t ON t.segment_id = s.segment_id AND t.drop_reason IS NULL
JOIN current_phonemes p ON p.segment_id = s.segment_id AND p.drop_reason IS NULL
JOIN current_codes k ON k.segment_id = s.segment_id AND k.drop_reason IS NULL
LEFT JOIN current_quality q ON q.segment_id = s.segment_id
LEFT JOIN current_speakers v ON v.segment_id = s.segment_id
LEFT JOIN current_reviews w ON w.segment_id = s.segment_id
WHERE s.drop_reason IS NULL;

-- A row per segment, with the codes of the codec that its corpus was quantized with last.
CREATE VIEW utterances AS SELECT * EXCLUDE (is_newest) FROM coded_utterances WHERE is_newest;

-- Every aligned word of every segment, with the pause before it; `number` counts from 1, seconds are those of the segment.
CREATE VIEW words AS
SELECT segment_id, corpus, number, w.word, w."start", w."end", w.confidence, w."end" - w."start" AS duration,
       w."start" - lag(w."end") OVER (PARTITION BY segment_id ORDER BY number) AS pause_before
FROM (
    SELECT segment_id, corpus, unnest(words) AS w, unnest(range(1, len(words) + 1)) AS number
    FROM current_alignments WHERE drop_reason IS NULL
);

-- Every current row that was dropped, with its stage. A recording that was dropped whole has its own duration.
CREATE VIEW drops AS
SELECT 'ingest' AS stage, corpus, recording_id AS id, drop_reason, drop_detail, duration
FROM current_recordings WHERE drop_reason IS NOT NULL
UNION ALL
SELECT 'segment', s.corpus, s.segment_id, s.drop_reason, s.drop_detail, coalesce(s.duration, r.duration)
FROM current_segments s JOIN current_recordings r USING (recording_id) WHERE s.drop_reason IS NOT NULL
UNION ALL
SELECT 'transcribe', t.corpus, t.segment_id, t.drop_reason, t.drop_detail, s.duration
FROM current_transcripts t JOIN current_segments s USING (segment_id) WHERE t.drop_reason IS NOT NULL
UNION ALL
SELECT 'align', a.corpus, a.segment_id, a.drop_reason, a.drop_detail, s.duration
FROM current_alignments a JOIN current_segments s USING (segment_id) WHERE a.drop_reason IS NOT NULL
UNION ALL
SELECT 'phonemize', p.corpus, p.segment_id, p.drop_reason, p.drop_detail, s.duration
FROM current_phonemes p JOIN current_segments s USING (segment_id) WHERE p.drop_reason IS NOT NULL
UNION ALL
SELECT 'quality', q.corpus, q.segment_id, q.drop_reason, q.drop_detail, s.duration
FROM current_quality q JOIN current_segments s USING (segment_id) WHERE q.drop_reason IS NOT NULL
UNION ALL
SELECT 'speakers', v.corpus, v.segment_id, v.drop_reason, v.drop_detail, s.duration
FROM current_speakers v JOIN current_segments s USING (segment_id) WHERE v.drop_reason IS NOT NULL
UNION ALL
SELECT 'quantize', k.corpus, k.segment_id, k.drop_reason, k.drop_detail, s.duration
FROM current_codes k JOIN current_segments s USING (segment_id) WHERE k.drop_reason IS NOT NULL
UNION ALL
SELECT 'mix', m.corpus, m.segment_id, m.drop_reason, m.drop_detail, s.duration
FROM current_mixtures m JOIN current_segments s USING (segment_id) WHERE m.drop_reason IS NOT NULL;

-- Rows and hours of each corpus, stage by stage.
CREATE VIEW progress AS
SELECT 'recordings' AS table_name, corpus, count(*) AS "rows", count(*) FILTER (drop_reason IS NOT NULL) AS dropped,
       coalesce(sum(duration) FILTER (drop_reason IS NULL), 0) / 3600 AS hours
FROM current_recordings GROUP BY corpus
UNION ALL
SELECT 'segments', corpus, count(*), count(*) FILTER (drop_reason IS NOT NULL),
       coalesce(sum(duration) FILTER (drop_reason IS NULL), 0) / 3600
FROM current_segments GROUP BY corpus
UNION ALL
SELECT 'transcripts', t.corpus, count(*), count(*) FILTER (t.drop_reason IS NOT NULL),
       coalesce(sum(s.duration) FILTER (t.drop_reason IS NULL), 0) / 3600
FROM current_transcripts t JOIN current_segments s USING (segment_id) GROUP BY t.corpus
UNION ALL
SELECT 'phonemes', p.corpus, count(*), count(*) FILTER (p.drop_reason IS NOT NULL),
       coalesce(sum(s.duration) FILTER (p.drop_reason IS NULL), 0) / 3600
FROM current_phonemes p JOIN current_segments s USING (segment_id) GROUP BY p.corpus
UNION ALL
SELECT 'codes', k.corpus, count(*), count(*) FILTER (k.drop_reason IS NOT NULL),
       coalesce(sum(s.duration) FILTER (k.drop_reason IS NULL), 0) / 3600
FROM current_codes k JOIN current_segments s USING (segment_id) WHERE k.is_newest GROUP BY k.corpus;
