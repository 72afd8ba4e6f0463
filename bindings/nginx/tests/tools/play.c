/*
 * Plays requests that were written by `requests`, on connections that are kept.
 *
 *   play once PORT CONNECTIONS FILE     each request once, spread over the connections
 *   play race PORT CONNECTIONS FILE     each request on all connections at once: exactly one 200, else the exit status is 1
 *
 * Prints the number of answers by status, the seconds, and in a race the workers (X-Worker) that answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 256
#define ROOM 16384

static struct connection {
    int fd;
    size_t len;
    int workers;
    char text[ROOM];
} connections[CONNECTIONS];

static long statuses[1000], workers[64], worker_count;
static const char *requests, *end;
static int port, closed;

static void die(const char *what)
{
    fprintf(stderr, "play: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void reconnect(struct connection *c)
{
    struct sockaddr_in to;
    int one = 1;

    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (c->fd > 0) close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->len = 0;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* The next request, or 0. */
static size_t next(const char **text)
{
    int len;

    if (end - requests < (long)sizeof len) return 0;
    memcpy(&len, requests, sizeof len);
    *text = requests + sizeof len;
    requests = *text + len;
    return (size_t)len;
}

static void send_all(struct connection *c, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(c->fd, text, len);
        if (n < 0) die("write");
        text += n;
        len -= (size_t)n;
    }
}

static void note_worker(const char *head)
{
    const char *line = strstr(head, "X-Worker: ");
    long pid, i;

    if (line == NULL) return;
    pid = strtol(line + 10, NULL, 10);
    for (i = 0; i < worker_count; i++) if (workers[i] == pid) return;
    if (worker_count < 64) workers[worker_count++] = pid;
}

/* Reads what is there; the status once an answer is whole, else 0. */
static int receive(struct connection *c)
{
    char *head, *length;
    size_t whole;
    int status;
    ssize_t n = read(c->fd, c->text + c->len, ROOM - 1 - c->len);

    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) {
        closed++;
        return -1;
    }
    c->len += (size_t)n;
    c->text[c->len] = 0;
    head = strstr(c->text, "\r\n\r\n");
    if (head == NULL) return 0;
    length = strcasestr(c->text, "content-length:");
    whole = (size_t)(head + 4 - c->text) + (length && length < head ? strtoul(length + 15, NULL, 10) : 0);
    if (c->len < whole) return 0;
    status = atoi(c->text + 9);
    if (status > 0 && status < 1000) statuses[status]++;
    note_worker(c->text);
    c->len = 0;
    return status;
}

static void once(int count)
{
    struct pollfd polls[CONNECTIONS];
    const char *text;
    size_t len;
    int i, open = 0, status;

    for (i = 0; i < count; i++) {
        polls[i].fd = connections[i].fd;
        polls[i].events = POLLIN;
        if ((len = next(&text)) == 0) polls[i].fd = -1;
        else send_all(&connections[i], text, len), open++;
    }
    while (open) {
        if (poll(polls, (nfds_t)count, 20000) <= 0) die("no answer");
        for (i = 0; i < count; i++) {
            if (polls[i].fd < 0 || polls[i].revents == 0) continue;
            if ((status = receive(&connections[i])) == 0) continue;
            if (status < 0 || strcasestr(connections[i].text, "connection: close")) {
                reconnect(&connections[i]);
                polls[i].fd = connections[i].fd;
            }
            if ((len = next(&text)) == 0) polls[i].fd = -1, open--;
            else send_all(&connections[i], text, len);
        }
    }
}

static long race(int count)
{
    const char *text;
    size_t len;
    long wrong = 0, before;
    int i, status;

    while ((len = next(&text)) != 0) {
        before = statuses[200];
        for (i = 0; i < count; i++) send_all(&connections[i], text, len);
        for (i = 0; i < count; i++) {
            while ((status = receive(&connections[i])) == 0) { }
            if (status < 0) die("a connection was closed");
        }
        if (statuses[200] != before + 1) wrong++;
    }
    return wrong;
}

int main(int argc, char **argv)
{
    struct timespec begin, finish;
    struct stat info;
    long wrong = 0;
    int fd, i, count;

    if (argc != 5) die("once|race PORT CONNECTIONS FILE");
    port = atoi(argv[2]);
    count = atoi(argv[3]);
    fd = open(argv[4], O_RDONLY);
    if (fd < 0 || fstat(fd, &info) != 0 || count < 1 || count > CONNECTIONS) die(argv[4]);
    requests = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (requests == MAP_FAILED) die("mmap");
    end = requests + info.st_size;

    for (i = 0; i < count; i++) reconnect(&connections[i]);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (strcmp(argv[1], "race") == 0) wrong = race(count);
    else once(count);
    clock_gettime(CLOCK_MONOTONIC, &finish);

    for (i = 0; i < 1000; i++) if (statuses[i]) printf("%d %ld\n", i, statuses[i]);
    printf("seconds %.3f\n", (double)(finish.tv_sec - begin.tv_sec) + (double)(finish.tv_nsec - begin.tv_nsec) / 1e9);
    printf("workers %ld\nclosed %d\nwrong %ld\n", worker_count, closed, wrong);
    return wrong ? 1 : 0;
}
