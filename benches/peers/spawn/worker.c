/* worker: the least that a custom runtime can be. It asks AWS_LAMBDA_RUNTIME_API for events over one connection that
 * stays, and answers each with itself. It checks next to nothing: who is measured is the API.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MESSAGE_MAX = 7 << 20 };

static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n";
static char message[MESSAGE_MAX + 1];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int connect_to(char *api)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char *port = api ? strchr(api, ':') : NULL;

	if (port == NULL)
		fail("AWS_LAMBDA_RUNTIME_API");
	*port++ = 0;
	address.sin_port = htons(atoi(port));
	address.sin_addr.s_addr = inet_addr(api);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void send_all(int fd, struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t sent = writev(fd, parts, count);

		if (sent < 0)
			fail("writev");
		while (count > 0 && (size_t)sent >= parts->iov_len) {
			sent -= parts->iov_len;
			parts++, count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= sent;
		}
	}
}

/* Reads one response: where its body is, and how long. */
static char *receive(int fd, size_t *bytes)
{
	size_t filled = 0;
	char *end = NULL, *field;

	while (end == NULL || filled < (size_t)(end - message) + *bytes) {
		ssize_t got = read(fd, message + filled, MESSAGE_MAX - filled);

		if (got <= 0)
			exit(0);
		filled += got;
		message[filled] = 0;
		if (end == NULL && (end = strstr(message, "\r\n\r\n")) != NULL) {
			*end = 0;
			end += 4;
			field = strcasestr(message, "\r\ncontent-length:");
			*bytes = field ? strtoul(field + 17, NULL, 10) : 0;
		}
	}
	return end;
}

int main(void)
{
	static const char id_field[] = "\r\nlambda-runtime-aws-request-id: ";
	int fd = connect_to(getenv("AWS_LAMBDA_RUNTIME_API"));
	char head[512], *event, *id;
	size_t bytes, ignored;

	/* Whoever started it may be killed without a chance to end it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct iovec question = { (char *)next, sizeof next - 1 }, answer[2];

		send_all(fd, &question, 1);
		event = receive(fd, &bytes);
		id = strcasestr(message, id_field);
		if (id == NULL)
			return 1;
		id += sizeof id_field - 1;
		answer[0].iov_len = snprintf(head, sizeof head,
			"POST /2018-06-01/runtime/invocation/%.*s/response HTTP/1.1\r\nHost: api\r\n"
			"Content-Length: %zu\r\n\r\n", (int)strcspn(id, "\r"), id, bytes);
		answer[0].iov_base = head;
		answer[1] = (struct iovec){ event, bytes };
		send_all(fd, answer, 2);
		receive(fd, &ignored);
	}
}
