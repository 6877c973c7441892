/* server: the least that an HTTP server can be which a function is put in front of.
 *
 * Listens on PORT of 127.0.0.1. GET /N is answered with N bytes of text; the body of a request is read and
 * forgotten. Connections stay. It checks next to nothing: its clients are those that are measured.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, HEAD_MAX = 16384, BODY_MAX = 1 << 20 };

/* What came of a head that is not whole; how much of a body is still to come, or of its end has come. */
struct connection {
	size_t filled, body_left, matched, answer;
	int is_in_body, is_chunked;
	char head[HEAD_MAX + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static char text[BODY_MAX];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024))
		fail("listen");
	return fd;
}

static void watch(int set, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

/* Zero if all of it was sent. */
static int answer(int fd, size_t bytes)
{
	char head[128];
	int len = snprintf(head, sizeof head,
			   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", bytes);
	struct iovec parts[2] = { { head, len }, { text, bytes } };
	size_t sent = 0, total = len + bytes;

	while (sent < total) {
		ssize_t got = writev(fd, parts, 2);

		if (got <= 0)
			return 1;
		sent += got;
		for (int part = 0; part < 2; part++) {
			size_t taken = (size_t)got < parts[part].iov_len ? (size_t)got : parts[part].iov_len;

			parts[part].iov_base = (char *)parts[part].iov_base + taken;
			parts[part].iov_len -= taken;
			got -= taken;
		}
	}
	return 0;
}

/* Whether a body ends with these bytes, the next that have come of it. */
static int ends(struct connection *one, const char *bytes, size_t count)
{
	static const char last[] = "0\r\n\r\n";

	if (!one->is_chunked) {
		one->body_left -= count < one->body_left ? count : one->body_left;
		return one->body_left == 0;
	}
	/* No chunk that is sent here ends like the last one. */
	for (size_t at = 0; at < count; at++)
		one->matched = bytes[at] == last[one->matched] ? one->matched + 1 : bytes[at] == last[0];
	return one->matched == sizeof last - 1;
}

/* Takes what has come; the connection is closed where this is not zero. */
static int take(int fd, struct connection *one)
{
	static char body[65536];
	char *end, *field;
	ssize_t got;

	if (one->is_in_body) {
		if ((got = read(fd, body, sizeof body)) <= 0)
			return 1;
		if (!ends(one, body, got))
			return 0;
		one->is_in_body = 0;
		return answer(fd, one->answer);
	}
	if ((got = read(fd, one->head + one->filled, HEAD_MAX - one->filled)) <= 0)
		return 1;
	one->filled += got;
	one->head[one->filled] = 0;
	end = strstr(one->head, "\r\n\r\n");
	if (end == NULL)
		return one->filled == HEAD_MAX;
	got = one->filled - (end + 4 - one->head);
	one->filled = one->matched = 0;
	*end = 0;
	field = strcasestr(one->head, "\r\ncontent-length:");
	one->body_left = field ? strtoul(field + 17, NULL, 10) : 0;
	one->is_chunked = strcasestr(one->head, "\r\ntransfer-encoding: chunked") != NULL;
	field = strchr(one->head, '/');
	one->answer = field ? strtoul(field + 1, NULL, 10) : 0;
	if (one->answer > sizeof text)
		return 1;
	one->is_in_body = !ends(one, end + 4, got);
	return one->is_in_body ? 0 : answer(fd, one->answer);
}

int main(void)
{
	const char *port = getenv("PORT");
	int set = epoll_create1(0), listener, fd, on = 1;
	struct epoll_event event;

	/* Whoever started it may be killed without a chance to end it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	memset(text, 'a', sizeof text);
	listener = listen_on(port ? atoi(port) : 8080);
	watch(set, listener);
	while (epoll_wait(set, &event, 1, -1) >= 0) {
		if (event.data.fd != listener) {
			if (take(event.data.fd, &connections[event.data.fd]))
				close(event.data.fd);
			continue;
		}
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (fd >= CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		connections[fd].filled = connections[fd].is_in_body = 0;
		watch(set, fd);
	}
	return 1;
}
