# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay with the builder, so that a changed file rebuilds what depends on it and no more.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package acm2-api && cp target/release/acm2 /usr/local/bin/acm2

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/acm2 --create-home --shell /usr/sbin/nologin acm2
COPY --from=build /usr/local/bin/acm2 /usr/local/bin/acm2
USER acm2
WORKDIR /var/lib/acm2
# Reachable from outside the container, so ACM2_MASTER_KEYS is required: docker run --rm acm2 keys generate
ENV ACM2_HTTP__BIND=0.0.0.0:8080 \
    ACM2_DATA_DIR=/var/lib/acm2
VOLUME /var/lib/acm2
EXPOSE 8080
ENTRYPOINT ["acm2"]
CMD ["serve"]
