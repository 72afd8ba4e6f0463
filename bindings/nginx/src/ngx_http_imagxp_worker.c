
/*
 * What a worker has for itself: its key cache, in private memory, and the
 * memory that the library works in.
 */


#include "ngx_http_imagxp.h"

#include <sys/mman.h>
#include <sys/random.h>


static void ngx_http_imagxp_prepare_handler(ngx_event_t *ev);
static imagxp_key_cache_sizes ngx_http_imagxp_sizes(
    ngx_http_imagxp_main_conf_t *imcf);


ngx_http_imagxp_worker_t  ngx_http_imagxp_worker;

static u_char  ngx_http_imagxp_scratch[IMAGXP_SCRATCH_LEN];


/* imagxp_keys 4096 tables=128x64k; */

char *
ngx_http_imagxp_set_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    u_char                  *p, *last;
    ssize_t                  size;
    ngx_int_t                n;
    ngx_str_t               *value, s;
    imagxp_key_cache_sizes  *keys;

    value = cf->args->elts;
    keys = &imcf->keys;

    if (keys->names) {
        return "is duplicate";
    }

    n = ngx_atoi(value[1].data, value[1].len);
    if (n < 8 || n > 1048576) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of names \"%V\": 8 to 1048576",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    keys->names = (uint32_t) n;
    keys->tables = 128;
    keys->table_kib = 64;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "tables=", 7) != 0) {
        goto invalid;
    }

    p = value[2].data + 7;
    last = value[2].data + value[2].len;

    s.data = ngx_strlchr(p, last, 'x');
    if (s.data == NULL) {
        n = ngx_atoi(p, last - p);
        if (n != 0) {
            goto invalid;
        }

        keys->tables = 0;
        keys->table_kib = 0;
        return NGX_CONF_OK;
    }

    n = ngx_atoi(p, s.data - p);
    s.data++;
    s.len = last - s.data;
    size = ngx_parse_size(&s);

    if (n <= 0 || n > 65536 || size <= 0 || size % 1024) {
        goto invalid;
    }

    keys->tables = (uint32_t) n;
    keys->table_kib = (uint32_t) (size / 1024);

    if (imagxp_key_cache_words(*keys) == 0) {
        goto invalid;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": \"tables=0\" or a number "
                       "and a size of 2k, 8k, 16k, 32k, 64k or 320k, "
                       "such as \"tables=128x64k\"", &value[2]);
    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_imagxp_init_module(ngx_cycle_t *cycle)
{
    size_t                        size;
    ngx_core_conf_t              *ccf;
    ngx_http_imagxp_main_conf_t  *imcf;

    if (ngx_http_imagxp_zones_commit(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_imagxp_module);

    if (imcf == NULL || !imcf->enabled) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    size = imagxp_key_cache_words(ngx_http_imagxp_sizes(imcf)) * 8;

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "imagxp: key caches take %uzK: %uzK for each of %i workers",
                  size / 1024 * (size_t) ccf->worker_processes, size / 1024,
                  ccf->worker_processes);

    return NGX_OK;
}


ngx_int_t
ngx_http_imagxp_init_process(ngx_cycle_t *cycle)
{
    size_t                        size;
    ngx_http_imagxp_worker_t     *worker;
    ngx_http_imagxp_main_conf_t  *imcf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_imagxp_module);

    if (imcf == NULL || !imcf->enabled) {
        return NGX_OK;
    }

    /* the cache manager and the cache loader serve nobody */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    worker = &ngx_http_imagxp_worker;

    worker->scratch.ptr = ngx_http_imagxp_scratch;
    worker->scratch.len = sizeof(ngx_http_imagxp_scratch);

    ngx_queue_init(&worker->flights);

    worker->prepare.handler = ngx_http_imagxp_prepare_handler;
    worker->prepare.data = worker;
    worker->prepare.log = cycle->log;

    worker->sizes = ngx_http_imagxp_sizes(imcf);
    worker->keys.len = imagxp_key_cache_words(worker->sizes);
    size = worker->keys.len * sizeof(uint64_t);

    /* untouched pages cost nothing, and a child would not need them */

    worker->keys.words = mmap(NULL, size, PROT_READ|PROT_WRITE,
                              MAP_ANON|MAP_PRIVATE, -1, 0);

    if (worker->keys.words == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mmap(%uz) of the imagxp key cache failed", size);
        return NGX_ERROR;
    }

    if (ngx_http_imagxp_new_keys(cycle->log) != NGX_OK
        || ngx_http_imagxp_budget_init(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_imagxp_chain_init(cycle, imcf);
}


static imagxp_key_cache_sizes
ngx_http_imagxp_sizes(ngx_http_imagxp_main_conf_t *imcf)
{
    imagxp_key_cache_sizes  sizes;

    sizes = imcf->keys;
    sizes.issuers = (uint32_t) ngx_max(imcf->issuers, 4);

    return sizes;
}


/* an empty key cache, whatever was in it */

ngx_int_t
ngx_http_imagxp_new_keys(ngx_log_t *log)
{
    u_char                     seed[32];
    ngx_http_imagxp_worker_t  *worker;

    worker = &ngx_http_imagxp_worker;

    worker->nprepare = 0;

    if (ngx_http_imagxp_random(seed, sizeof(seed)) != NGX_OK
        || imagxp_key_cache_new(&worker->keys, worker->sizes, seed)
           != IMAGXP_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "could not make the imagxp key cache");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* milliseconds since 1970, as of this turn of the event loop */

int64_t
ngx_http_imagxp_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


ngx_int_t
ngx_http_imagxp_random(u_char *out, size_t len)
{
    return getrandom(out, len, 0) == (ssize_t) len ? NGX_OK : NGX_ERROR;
}


/*
 * A busy agent's key gets its table once everyone has been answered who can
 * be: it takes as long as fifteen verifications.
 */

void
ngx_http_imagxp_prepare(uint64_t id)
{
    ngx_uint_t                 i;
    ngx_http_imagxp_worker_t  *worker;

    worker = &ngx_http_imagxp_worker;

    for (i = 0; i < worker->nprepare; i++) {
        if (worker->prepare_ids[i] == id) {
            return;
        }
    }

    if (i == sizeof(worker->prepare_ids) / sizeof(worker->prepare_ids[0])) {
        return;
    }

    worker->prepare_ids[worker->nprepare++] = id;

    ngx_post_event(&worker->prepare, &ngx_posted_next_events);
}


static void
ngx_http_imagxp_prepare_handler(ngx_event_t *ev)
{
    ngx_http_imagxp_worker_t  *worker;

    worker = ev->data;

    if (worker->nprepare == 0) {
        return;
    }

    worker->nprepare--;

    (void) imagxp_key_cache_prepare(&worker->keys,
                                    worker->prepare_ids[worker->nprepare],
                                    ngx_http_imagxp_now());

    if (worker->nprepare) {
        ngx_post_event(&worker->prepare, &ngx_posted_next_events);
    }
}
