/*
 * Signs requests and writes them as they go over the wire, each behind its length (4 bytes, native order).
 *
 *   requests COUNT METHOD-AND-TARGET ORIGIN SCALAR:AGENT[,SCALAR:AGENT…] [HEADER-LINE…] > FILE
 *
 *   requests 1000 "GET /a" https://pub.example.com 00…01:bot.example.com "x-imagxp-credential: TOKEN"
 *
 * The agents take turns. Without agents ("-") the requests are not signed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <imagxp.h>

#define AGENTS 16

static struct { imagxp_key key; char id[254]; } agents[AGENTS];

static void die(const char *what)
{
    fprintf(stderr, "requests: %s\n", what);
    exit(1);
}

static size_t read_agents(char *list)
{
    size_t n = 0;
    char *one, *colon;

    if (strcmp(list, "-") == 0) return 0;
    for (one = strtok(list, ","); one; one = strtok(NULL, ",")) {
        colon = strchr(one, ':');
        if (colon == NULL || n == AGENTS) die("SCALAR:AGENT, at most 16");
        if (imagxp_key_from_text(imagxp_str_of(one, (size_t)(colon - one)), &agents[n].key) != IMAGXP_OK) die("not a key");
        snprintf(agents[n].id, sizeof agents[n].id, "%s", colon + 1);
        n++;
    }
    return n;
}

static int sign(char *to, size_t room, size_t agent, const char *origin, const char *target)
{
    static uint8_t memory[IMAGXP_SIGNED_LEN];
    imagxp_buf out = { memory, sizeof memory };
    imagxp_claims claims;
    imagxp_signed headers;
    imagxp_str payload, signature, key;
    struct timespec now;
    uint8_t nonce[16];
    char resource[2048];

    snprintf(resource, sizeof resource, "%s%s", origin, target);
    IMAGXP_INIT(&claims);
    IMAGXP_INIT(&headers);
    claims.agent_id = imagxp_str_of(agents[agent].id, strlen(agents[agent].id));
    claims.resource = imagxp_str_of(resource, strlen(resource));
    claims.purpose = IMAGXP_RAG_RETRIEVAL;
    clock_gettime(CLOCK_REALTIME, &now);
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce) die("no random bytes");
    if (imagxp_request_sign(&agents[agent].key, &claims, nonce, NULL, 0, now.tv_sec * 1000 + now.tv_nsec / 1000000, out,
                            &headers) != IMAGXP_OK) {
        die("signing failed");
    }
    payload = IMAGXP_TEXT(out, headers.payload);
    signature = IMAGXP_TEXT(out, headers.signature);
    key = IMAGXP_TEXT(out, headers.public_key);
    return snprintf(to, room, IMAGXP_HEADER_PAYLOAD ": %.*s\r\n" IMAGXP_HEADER_SIGNATURE ": %.*s\r\n"
                    IMAGXP_HEADER_PUBLIC_KEY ": %.*s\r\n" IMAGXP_HEADER_KEY ": %.*s\r\n",
                    (int)payload.len, payload.ptr, (int)signature.len, signature.ptr, (int)key.len, key.ptr,
                    (int)key.len, key.ptr);
}

int main(int argc, char **argv)
{
    static char text[32768];
    const char *target, *host;
    size_t count, n, i;
    int len, line;

    if (argc < 5) die("COUNT METHOD-AND-TARGET ORIGIN AGENTS [HEADER-LINE...]");
    count = strtoul(argv[1], NULL, 10);
    target = strchr(argv[2], ' ');
    host = strstr(argv[3], "://");
    if (target == NULL || host == NULL) die("such as \"GET /a\" https://pub.example.com");
    n = read_agents(argv[4]);

    for (i = 0; i < count; i++) {
        len = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bot " IMAGXP_PRODUCT "\r\n", argv[2], host + 3);
        if (n) len += sign(text + len, sizeof text - (size_t)len, i % n, argv[3], target + 1);
        for (line = 5; line < argc; line++) len += snprintf(text + len, sizeof text - (size_t)len, "%s\r\n", argv[line]);
        len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
        if (fwrite(&len, sizeof len, 1, stdout) != 1 || fwrite(text, (size_t)len, 1, stdout) != 1) die("cannot write");
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
