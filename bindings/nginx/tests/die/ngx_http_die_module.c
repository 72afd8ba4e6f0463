
/*
 * For tests: kills the worker that serves a request.
 *
 *     X-Die: 1234      SIGKILL after so many nanoseconds, wherever it is
 *     X-Die: lock      SIGKILL while it holds the mutex of zone "replay"
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <time.h>


static ngx_int_t ngx_http_die_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_die_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_die_init,                     /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_die_module = {
    NGX_MODULE_V1,
    &ngx_http_die_module_ctx,              /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void
ngx_http_die_in_lock(void)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *shm_zone;
    ngx_slab_pool_t  *shpool;

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;

    for ( /* void */ ; part; part = part->next) {

        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].shm.name.len != sizeof("replay") - 1
                || ngx_strncmp(shm_zone[i].shm.name.data, "replay", 6) != 0)
            {
                continue;
            }

            shpool = (ngx_slab_pool_t *) shm_zone[i].shm.addr;

            ngx_shmtx_lock(&shpool->mutex);
            (void) raise(SIGKILL);
        }
    }
}


static ngx_int_t
ngx_http_die_handler(ngx_http_request_t *r)
{
    timer_t            timer;
    ngx_int_t          ns;
    ngx_uint_t         i;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h;
    struct sigevent    event;
    struct itimerspec  when;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != 5
                || ngx_strncmp(h[i].lowcase_key, "x-die", 5) != 0)
            {
                continue;
            }

            ns = ngx_atoi(h[i].value.data, h[i].value.len);

            if (ns == NGX_ERROR) {
                ngx_http_die_in_lock();
                continue;
            }

            ngx_memzero(&event, sizeof(struct sigevent));
            event.sigev_notify = SIGEV_SIGNAL;
            event.sigev_signo = SIGKILL;

            ngx_memzero(&when, sizeof(struct itimerspec));
            when.it_value.tv_nsec = ns + 1;

            if (timer_create(CLOCK_MONOTONIC, &event, &timer) == -1
                || timer_settime(timer, 0, &when, NULL) == -1)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_die_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_die_handler;

    return NGX_OK;
}
