# The image holds one static program and the certificates of public authorities: no shell, no package
# manager, nobody's root. It runs on a read-only root; what it keeps is under /data.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY third_party third_party
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /countersign ./cmd/countersign
# A new volume takes over the owner and the mode of the folder it covers.
RUN mkdir -m 0700 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /countersign /countersign
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/countersign", "doctor", "--ready", "http://127.0.0.1:8080"]
ENTRYPOINT ["/countersign"]
CMD ["serve"]
