# The whole image is the binary: `make`, then `docker build --platform linux/amd64 -t "$IMAGE" .`
FROM scratch
COPY pkg/bootstrap /bootstrap
EXPOSE 9000
ENTRYPOINT ["/bootstrap"]
