-- How many entries of each codebook are in use, and how evenly (entropy in bits, perplexity, most frequent entry)?
WITH counts AS (
    SELECT codec, codebook, code, count(*) AS frames
    FROM (SELECT codec, codebook, unnest(codes) AS code FROM codebooks())
    GROUP BY codec, codebook, code
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
