
/*
 * Token buckets by client address, in private memory: what a client may make
 * this worker do in vain.  A bucket counts milliseconds of debt, and a full
 * set forgets the one that owes least.
 */


#include "ngx_http_imagxp.h"


#define NGX_HTTP_IMAGXP_SETS  1024
#define NGX_HTTP_IMAGXP_WAYS  4

/* docs/threats.md, section 8: new names in all, and a client's */

#define NGX_HTTP_IMAGXP_NAMES         20
#define NGX_HTTP_IMAGXP_CLIENT_NAMES  2


typedef struct {
    uint64_t                      client;
    ngx_msec_t                    failures;        /* debt is paid then */
    ngx_msec_t                    fetches;
} ngx_http_imagxp_bucket_t;


static ngx_http_imagxp_bucket_t *ngx_http_imagxp_bucket(
    ngx_http_request_t *r);
static uint64_t ngx_http_imagxp_client(ngx_http_request_t *r);
static ngx_uint_t ngx_http_imagxp_owes(ngx_msec_t until, ngx_uint_t rate,
    ngx_uint_t burst);
static void ngx_http_imagxp_charge(ngx_msec_t *until, ngx_uint_t rate);


static ngx_http_imagxp_bucket_t  *ngx_http_imagxp_buckets;
static ngx_msec_t                 ngx_http_imagxp_all_fetches;
static uint64_t                   ngx_http_imagxp_seed;


/* imagxp_fail_limit off | 20r/s [burst=40]; */

char *
ngx_http_imagxp_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_limit_t  *limit;

    ngx_int_t   rate, burst;
    ngx_str_t  *value;

    limit = (ngx_http_imagxp_limit_t *) ((char *) conf + cmd->offset);

    if (limit->rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        limit->rate = 0;
        return NGX_CONF_OK;
    }

    if (value[1].len < 4
        || ngx_strcmp(value[1].data + value[1].len - 3, "r/s") != 0)
    {
        goto invalid;
    }

    rate = ngx_atoi(value[1].data, value[1].len - 3);
    burst = 2 * rate;

    if (cf->args->nelts == 3) {
        if (ngx_strncmp(value[2].data, "burst=", 6) != 0) {
            goto invalid;
        }

        burst = ngx_atoi(value[2].data + 6, value[2].len - 6);
    }

    if (rate <= 0 || burst <= 0 || rate > 1000000 || burst > 1000000) {
        goto invalid;
    }

    limit->rate = rate;
    limit->burst = burst;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid limit: \"off\", or such as "
                       "\"20r/s burst=40\"");
    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_imagxp_budget_init(ngx_cycle_t *cycle)
{
    ngx_http_imagxp_buckets = ngx_pcalloc(cycle->pool,
                                          NGX_HTTP_IMAGXP_SETS
                                          * NGX_HTTP_IMAGXP_WAYS
                                          * sizeof(ngx_http_imagxp_bucket_t));
    if (ngx_http_imagxp_buckets == NULL) {
        return NGX_ERROR;
    }

    ngx_http_imagxp_all_fetches = ngx_current_msec;

    return ngx_http_imagxp_random((u_char *) &ngx_http_imagxp_seed,
                                  sizeof(ngx_http_imagxp_seed));
}


/* whether the client has used up its failures */

ngx_uint_t
ngx_http_imagxp_budget_failed(ngx_http_request_t *r,
    ngx_http_imagxp_limit_t *limit)
{
    if (limit->rate == 0) {
        return 0;
    }

    return ngx_http_imagxp_owes(ngx_http_imagxp_bucket(r)->failures,
                                limit->rate, limit->burst);
}


void
ngx_http_imagxp_budget_fail(ngx_http_request_t *r,
    ngx_http_imagxp_limit_t *limit)
{
    if (limit->rate) {
        ngx_http_imagxp_charge(&ngx_http_imagxp_bucket(r)->failures,
                               limit->rate);
    }
}


/* whether the client may make this worker fetch a name's document */

ngx_uint_t
ngx_http_imagxp_budget_fetch(ngx_http_request_t *r)
{
    ngx_http_imagxp_bucket_t  *bucket;

    bucket = ngx_http_imagxp_bucket(r);

    if (ngx_http_imagxp_owes(bucket->fetches, NGX_HTTP_IMAGXP_CLIENT_NAMES,
                             4 * NGX_HTTP_IMAGXP_CLIENT_NAMES)
        || ngx_http_imagxp_owes(ngx_http_imagxp_all_fetches,
                                NGX_HTTP_IMAGXP_NAMES,
                                2 * NGX_HTTP_IMAGXP_NAMES))
    {
        return 0;
    }

    ngx_http_imagxp_charge(&bucket->fetches, NGX_HTTP_IMAGXP_CLIENT_NAMES);
    ngx_http_imagxp_charge(&ngx_http_imagxp_all_fetches,
                           NGX_HTTP_IMAGXP_NAMES);

    return 1;
}


/* it was in the store */

void
ngx_http_imagxp_budget_refund(ngx_http_request_t *r)
{
    ngx_http_imagxp_bucket(r)->fetches -= 1000 / NGX_HTTP_IMAGXP_CLIENT_NAMES;
    ngx_http_imagxp_all_fetches -= 1000 / NGX_HTTP_IMAGXP_NAMES;
}


static ngx_uint_t
ngx_http_imagxp_owes(ngx_msec_t until, ngx_uint_t rate, ngx_uint_t burst)
{
    return (ngx_msec_int_t) (until - ngx_current_msec)
           > (ngx_msec_int_t) ((burst - 1) * 1000 / rate);
}


static void
ngx_http_imagxp_charge(ngx_msec_t *until, ngx_uint_t rate)
{
    if ((ngx_msec_int_t) (*until - ngx_current_msec) < 0) {
        *until = ngx_current_msec;
    }

    *until += ngx_max(1000 / rate, 1);
}


static ngx_http_imagxp_bucket_t *
ngx_http_imagxp_bucket(ngx_http_request_t *r)
{
    uint64_t                   client;
    ngx_uint_t                 i;
    ngx_msec_t                 owes, least;
    ngx_http_imagxp_bucket_t  *set, *bucket;

    client = ngx_http_imagxp_client(r);

    set = &ngx_http_imagxp_buckets[(client % NGX_HTTP_IMAGXP_SETS)
                                   * NGX_HTTP_IMAGXP_WAYS];
    bucket = set;
    least = NGX_MAX_UINT32_VALUE;

    for (i = 0; i < NGX_HTTP_IMAGXP_WAYS; i++) {

        if (set[i].client == client) {
            return &set[i];
        }

        owes = 0;

        if ((ngx_msec_int_t) (set[i].failures - ngx_current_msec) > 0) {
            owes += set[i].failures - ngx_current_msec;
        }

        if ((ngx_msec_int_t) (set[i].fetches - ngx_current_msec) > 0) {
            owes += set[i].fetches - ngx_current_msec;
        }

        if (owes < least) {
            least = owes;
            bucket = &set[i];
        }
    }

    bucket->client = client;
    bucket->failures = ngx_current_msec;
    bucket->fetches = ngx_current_msec;

    return bucket;
}


/* an IPv4 address, or a /64: a client has all of that to choose from */

static uint64_t
ngx_http_imagxp_client(ngx_http_request_t *r)
{
    size_t                len;
    u_char               *p;
    uint64_t              hash;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        p = sin6->sin6_addr.s6_addr;
        len = 8;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            p += 12;
            len = 4;
        }

        break;
#endif

    case AF_INET:
        p = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
        len = 4;
        break;

    default:
        return 1;
    }

    hash = ngx_murmur_hash2(p, len);
    hash = hash << 32 | ngx_crc32_short(p, len);

    /* xorshift-multiply with the seed: strangers can't choose their sets */

    hash = (hash ^ ngx_http_imagxp_seed) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;

    return hash ? hash : 1;
}
