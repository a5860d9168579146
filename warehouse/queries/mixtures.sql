-- What are the mixtures made of: kinds, hours, licences of speech and interferer, and the ratios of their levels?
SELECT
    m.corpus,
    m.kind,
    r.licence AS speech_licence,
    m.interferer_licence,
    count(*) AS mixtures,
    round(sum(s.duration) / 3600, 4) AS hours,
    count(DISTINCT m.interferer) AS interferers,
    round(min(m.snr), 1) AS least_snr,
    round(avg(m.snr), 1) AS mean_snr,
    round(max(m.snr), 1) AS greatest_snr
FROM current_mixtures m
JOIN current_segments s USING (segment_id)
JOIN current_recordings r USING (recording_id)
WHERE m.drop_reason IS NULL
GROUP BY ALL
ORDER BY m.corpus, m.kind, hours DESC;
