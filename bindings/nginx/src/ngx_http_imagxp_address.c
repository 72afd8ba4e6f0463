
/*
 * Where a document is fetched from: an address of its host that was judged,
 * and that very one.
 */


#include "ngx_http_imagxp.h"


static void ngx_http_imagxp_resolve_handler(ngx_resolver_ctx_t *rctx);
static ngx_int_t ngx_http_imagxp_choose(ngx_http_imagxp_flight_t *flight,
    ngx_resolver_ctx_t *rctx);
static ngx_int_t ngx_http_imagxp_may_connect(
    ngx_http_imagxp_flight_t *flight, struct sockaddr *sa);
static ngx_uint_t ngx_http_imagxp_denied(struct sockaddr *sa,
    ngx_array_t *deny);
static ngx_uint_t ngx_http_imagxp_inside(struct sockaddr *sa,
    struct in_addr *inside);
static ngx_uint_t ngx_http_imagxp_crowded(ngx_http_imagxp_flight_t *flight,
    struct sockaddr *sa);


char *
ngx_http_imagxp_set_address(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t      rc;
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_cidr_t    *cidr;
    ngx_array_t  **list;

    list = (ngx_array_t **) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(*list);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid address range \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &value[i]);
        }

        if (cmd->offset == offsetof(ngx_http_imagxp_main_conf_t, trial)) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"imagxp_trial_address %V\": any agent's name "
                               "may make this server connect there; "
                               "for trials only", &value[i]);
        }
    }

    return NGX_CONF_OK;
}


void
ngx_http_imagxp_resolve(ngx_http_imagxp_flight_t *flight)
{
    ngx_resolver_ctx_t        *rctx, temp;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = flight->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = flight->name;

    /* of a development policy only; judged like any other address */

    if (flight->name.len == 9
        && ngx_strncmp(flight->name.data, "localhost", 9) == 0)
    {
        ngx_str_set(&temp.name, "127.0.0.1");
    }

    rctx = ngx_resolve_start(clcf->resolver, &temp);

    if (rctx == NULL || rctx == NGX_NO_RESOLVER) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "imagxp: no \"resolver\" to resolve \"%V\"",
                      &flight->name);
        ngx_http_imagxp_unreachable(flight);
        return;
    }

    rctx->name = temp.name;
    rctx->handler = ngx_http_imagxp_resolve_handler;
    rctx->data = flight;
    rctx->timeout = NGX_HTTP_IMAGXP_RESOLVE_TIME;

    flight->resolve = rctx;

    if (ngx_resolve_name(rctx) != NGX_OK) {
        flight->resolve = NULL;
        ngx_http_imagxp_unreachable(flight);
    }
}


static void
ngx_http_imagxp_resolve_handler(ngx_resolver_ctx_t *rctx)
{
    ngx_int_t                  rc;
    ngx_uint_t                 async;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_imagxp_flight_t  *flight;

    flight = rctx->data;
    async = rctx->async;
    r = flight->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (rctx->state) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "imagxp: \"%V\" could not be resolved (%i: %s)",
                      &flight->name, rctx->state,
                      ngx_resolver_strerror(rctx->state));
        rc = NGX_DECLINED;

    } else {
        rc = ngx_http_imagxp_choose(flight, rctx);
    }

    flight->resolve = NULL;
    ngx_resolve_name_done(rctx);

    if (rc == NGX_OK) {
        rc = ngx_http_imagxp_document_start(flight);
    }

    if (rc == NGX_BUSY) {
        ngx_http_imagxp_flight_done(flight, NULL);

    } else if (rc != NGX_OK) {
        ngx_http_imagxp_unreachable(flight);

    } else if (flight->held) {

        /* the subrequest counts from here on */

        flight->held = 0;
        ngx_http_finalize_request(r, NGX_DONE);
    }

    if (async) {
        ngx_http_run_posted_requests(c);
    }
}


/*
 * Every address must be good, and the one that is connected to was judged: a
 * second look-up may give another.
 */

static ngx_int_t
ngx_http_imagxp_choose(ngx_http_imagxp_flight_t *flight,
    ngx_resolver_ctx_t *rctx)
{
    socklen_t                  socklen;
    ngx_str_t                  text;
    ngx_uint_t                 i;
    struct sockaddr           *chosen, *sa;
    ngx_sockaddr_t             target;
    ngx_http_request_t        *r;
    u_char                     buf[NGX_SOCKADDR_STRLEN];

    r = flight->request;
    chosen = NULL;
    socklen = 0;

    for (i = 0; i < rctx->naddrs; i++) {

        sa = rctx->addrs[i].sockaddr;

        if (ngx_http_imagxp_may_connect(flight, sa) != NGX_OK) {
            text.data = buf;
            text.len = ngx_sock_ntop(sa, rctx->addrs[i].socklen, buf,
                                     NGX_SOCKADDR_STRLEN, 0);
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "imagxp: \"%V\" resolves to %V, to which a verifier "
                          "must not connect", &flight->name, &text);
            return NGX_DECLINED;
        }

        /* many hosts have names for IPv6, but no route */

        if (chosen == NULL
            || (chosen->sa_family != AF_INET && sa->sa_family == AF_INET))
        {
            chosen = sa;
            socklen = rctx->addrs[i].socklen;
        }
    }

    if (chosen == NULL) {
        return NGX_DECLINED;
    }

    if (!flight->configured && ngx_http_imagxp_crowded(flight, chosen)) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "imagxp: too many fetches from the network of \"%V\"",
                      &flight->name);
        return NGX_BUSY;
    }

    ngx_memcpy(&target, chosen, socklen);
    ngx_inet_set_port(&target.sockaddr, flight->port);

    flight->address.data = ngx_pnalloc(r->pool, NGX_SOCKADDR_STRLEN);
    if (flight->address.data == NULL) {
        return NGX_ERROR;
    }

    flight->address.len = ngx_sock_ntop(&target.sockaddr, socklen,
                                        flight->address.data,
                                        NGX_SOCKADDR_STRLEN, 1);
    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_may_connect(ngx_http_imagxp_flight_t *flight,
    struct sockaddr *sa)
{
    imagxp_status                 status;
    ngx_http_imagxp_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(flight->request,
                                         ngx_http_imagxp_module);

    if (imcf->deny && ngx_http_imagxp_denied(sa, imcf->deny)) {
        return NGX_DECLINED;
    }

    if (imcf->trial && ngx_cidr_match(sa, imcf->trial) == NGX_OK) {
        return NGX_OK;
    }

    /* where the operator's own URLs may lead, a stranger's name may not */

    if (flight->configured && imcf->allow
        && ngx_cidr_match(sa, imcf->allow) == NGX_OK)
    {
        return NGX_OK;
    }

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        status = imagxp_host_may_connect(
                     ((struct sockaddr_in6 *) sa)->sin6_addr.s6_addr, 16);
        break;
#endif

    case AF_INET:
        status = imagxp_host_may_connect(
                     (u_char *) &((struct sockaddr_in *) sa)->sin_addr, 4);
        break;

    default:
        return NGX_DECLINED;
    }

    return status == IMAGXP_OK ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_imagxp_denied(struct sockaddr *sa, ngx_array_t *deny)
{
    struct sockaddr_in   sin;

    if (ngx_cidr_match(sa, deny) == NGX_OK) {
        return 1;
    }

    ngx_memzero(&sin, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;

    return ngx_http_imagxp_inside(sa, &sin.sin_addr)
           && ngx_cidr_match((struct sockaddr *) &sin, deny) == NGX_OK;
}


/* an IPv4 address is reached by its NAT64 form, too: RFC 6052, section 2.1 */

static ngx_uint_t
ngx_http_imagxp_inside(struct sockaddr *sa, struct in_addr *inside)
{
#if (NGX_HAVE_INET6)
    u_char         *p;

    static u_char   nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    if (sa->sa_family != AF_INET6) {
        return 0;
    }

    p = ((struct sockaddr_in6 *) sa)->sin6_addr.s6_addr;

    if (ngx_memcmp(p, nat64, sizeof(nat64)) != 0) {
        return 0;
    }

    ngx_memcpy(inside, p + sizeof(nat64), 4);

    return 1;
#else
    return 0;
#endif
}


/* too many at once from a /24, or a /48 */

static ngx_uint_t
ngx_http_imagxp_crowded(ngx_http_imagxp_flight_t *flight, struct sockaddr *sa)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q, *flights;
    struct in_addr             inside;
    ngx_http_imagxp_flight_t  *other;

    if (ngx_http_imagxp_inside(sa, &inside)) {
        ngx_memcpy(flight->net, &inside, 3);

#if (NGX_HAVE_INET6)
    } else if (sa->sa_family == AF_INET6) {
        ngx_memcpy(flight->net,
                   ((struct sockaddr_in6 *) sa)->sin6_addr.s6_addr, 6);
#endif

    } else {
        ngx_memcpy(flight->net, &((struct sockaddr_in *) sa)->sin_addr, 3);
    }

    flights = &ngx_http_imagxp_worker.flights;
    n = 0;

    for (q = ngx_queue_head(flights);
         q != ngx_queue_sentinel(flights);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_imagxp_flight_t, queue);

        if (other != flight && other->subrequest
            && ngx_memcmp(other->net, flight->net, 6) == 0)
        {
            n++;
        }
    }

    return n >= NGX_HTTP_IMAGXP_NET_FETCHES;
}
