/* loop COUNT BYTES PROGRAM [ARG...]: the least that starting a program for each event can cost.
 *
 * Two pipes, one process, an event of so many bytes written to it, its answer read to the end, its end waited
 * for: nothing else, and nobody who asks over a network. Prints how long each of COUNT rounds took, in
 * nanoseconds, a line each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static size_t read_all(int from)
{
	static char answer[65536];
	size_t total = 0;
	ssize_t got;

	while ((got = read(from, answer, sizeof answer)) > 0)
		total += got;
	return total;
}

/* The event is shorter than what a pipe holds, so that the write never waits. */
static void call(char **program, const char *event, size_t bytes)
{
	int in[2], out[2], status;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		fail("pipe");
	pid = vfork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execv(program[0], program);
		_exit(127);
	}
	if (pid < 0)
		fail("vfork");
	close(in[0]);
	close(out[1]);
	if (write(in[1], event, bytes) != (ssize_t)bytes)
		fail("write");
	close(in[1]);
	if (read_all(out[0]) != bytes)
		fail("the answer is not the event");
	close(out[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail(program[0]);
}

int main(int count, char **arguments)
{
	static const char hello[] = "Hello World";
	static char event[65536];
	long calls, index;
	size_t bytes, at;

	if (count < 4)
		return 2;
	calls = atol(arguments[1]);
	bytes = strtoul(arguments[2], NULL, 10);
	if (bytes > sizeof event)
		return 2;
	for (at = 0; at < bytes; at++)
		event[at] = hello[at % (sizeof hello - 1)];
	for (index = 0; index < calls; index++) {
		long long before = now_ns();

		call(arguments + 3, event, bytes);
		printf("%lld\n", now_ns() - before);
	}
	return 0;
}
