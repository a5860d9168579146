-- Audio and texts that evaluations have used. A model that was trained on them cannot be evaluated by them.

-- Segments that share audio with a registered sentence or prompt, in any corpus. Neighbours that
-- were cut apart may touch, so the first and last 50 ms do not count.
CREATE VIEW evaluated_segments AS
SELECT DISTINCT s.segment_id, e.items_hash, e.role
FROM evaluation_items e
JOIN current_recordings r ON r.content_hash = e.content_hash
JOIN current_segments s ON s.recording_id = r.recording_id
    AND s.start < e.start + e.duration - 0.05
    AND e.start < s.start + s.duration - 0.05;

-- A text for comparison: lower case, letters and digits only, single spaces.
CREATE MACRO plain_text(given) AS
    trim(regexp_replace(lower(strip_accents(given)), '[^\p{L}\p{N}]+', ' ', 'g'));

-- A hash of every run of `length` words of a list of them; none of a shorter one.
CREATE MACRO runs_of_words(words, length) AS
    list_transform(
        range(1, greatest(len(words) - length + 2, 1)),
        lambda first: hash(words[first:first + length - 1])
    );
