# TRAE with a desktop of its own: an Xvfb with a small window manager, a background and a terminal, so that what is streamed is a desktop
# and not an empty container. Who has a key for the desktop can type into that terminal; VIRTUAL_STARTUP says what is started instead.
#
#   docker compose -f examples/docker/compose.yaml up --build
#   docker compose -f examples/docker/compose.yaml exec trae trae keys create --name me --scope admin
#
# tests/it/docker.rs checks this file; examples/docker/rehearse.sh goes through its last stage without Docker.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        clang cmake libclang-dev libdrm-dev libegl-dev libgbm-dev libleptonica-dev libpipewire-0.3-dev libtesseract-dev libwayland-dev \
        libxcb-randr0-dev libxcb-shm0-dev libxcb1-dev nasm pkg-config python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY stdlib stdlib
COPY scripts scripts
COPY benches benches
COPY README.md ./
RUN cargo build --locked --release --bin trae
# The neural engine, which reads beside Tesseract.
RUN target/release/trae models install --to /models

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates fonts-dejavu-core libdrm2 libgbm1 libtesseract5 libwayland-client0 libxcb-randr0 libxcb-shm0 libxcb1 openbox \
        tesseract-ocr tesseract-ocr-deu tesseract-ocr-eng tesseract-ocr-fra tesseract-ocr-spa tini x11-xserver-utils xkb-data xterm xvfb \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /bin/bash trae \
    && install -d -o trae -g trae -m 0700 /data \
    && install -d -m 1777 /tmp/.X11-unix
COPY examples/docker/desktop.sh /usr/local/bin/trae-desktop
COPY --from=build /build/target/release/trae /usr/local/bin/trae
COPY --from=build /models /usr/local/share/trae/models
USER 10001
WORKDIR /home/trae
ENV DATA_DIR=/data \
    HOST=0.0.0.0 \
    PORT=8007 \
    API_KEY_ENABLED=true \
    DISPLAY_MODE=virtual \
    VIRTUAL_SIZE=1920x1080 \
    VIRTUAL_STARTUP=trae-desktop \
    OCR_LANGUAGES=eng,deu,fra,spa \
    OCR_MODELS=/usr/local/share/trae/models
VOLUME /data
EXPOSE 8007
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT} && printf 'GET /api/health/ HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && grep -q '\"status\":\"healthy\"' <&3"]
# An init reaps what commands leave behind.
ENTRYPOINT ["tini", "--", "trae"]
CMD ["serve"]
