-- How many entries of each codebook are in use, and how evenly (entropy in bits, perplexity, most frequent entry)?
WITH counts AS (
    SELECT codec, codebook, code, count(*) AS frames
    FROM (
        SELECT codec, cast(substr(name, 2) AS INTEGER) AS codebook, unnest(codes) AS code
        FROM (
            UNPIVOT (SELECT codec, q0, q1, q2, q3, q4, q5, q6, q7 FROM current_codes WHERE drop_reason IS NULL)
            ON q0, q1, q2, q3, q4, q5, q6, q7 INTO NAME name VALUE codes
        )
    )
    GROUP BY ALL
),
shares AS (
    SELECT *, frames / sum(frames) OVER (PARTITION BY codec, codebook) AS share
    FROM counts
)
SELECT
    codec,
    codebook,
    sum(frames)::BIGINT AS frames,
    count(*) AS entries_used,
    max(code) AS largest_entry,
    round(sum(share * log2(1 / share)), 4) AS entropy_bits,
    round(pow(2, sum(share * log2(1 / share))), 2) AS perplexity,
    arg_max(code, share) AS commonest_entry,
    round(max(share), 5) AS commonest_share
FROM shares
GROUP BY codec, codebook
ORDER BY codec, codebook;
