"""What a codec does to speech: resynthesis beside the original, judged by the models that judge everything else."""
