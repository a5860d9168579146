-- How often is each entry of each codebook used?
SELECT codec, codebook, code, count(*) AS frames
FROM (SELECT codec, codebook, unnest(codes) AS code FROM codebooks())
GROUP BY codec, codebook, code
ORDER BY codec, codebook, code;
