# One image for the pipeline, `valle serve` and `valle ui`; docker-compose.yaml says how each is started.
FROM python:3.11-slim

# deepspeed compiles on the first import of some kernels; git is the version control of a mounted checkout.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --no-deps -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

ENV VALLE_DATA=/data OMP_NUM_THREADS=1 GRADIO_ANALYTICS_ENABLED=False
VOLUME /data
EXPOSE 8080 7860
# Inside a container only 0.0.0.0 is reachable; compose publishes the ports on 127.0.0.1.
CMD ["valle", "serve", "--host", "0.0.0.0"]
