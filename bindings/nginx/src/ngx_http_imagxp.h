
/*
 * ngx_http_imagxp_module: verifies the signed requests of AI agents.
 *
 * What the parts share.  A request goes through access.c to verdict.c; what
 * else there is is called from there, or is a directive, a variable or a
 * filter.
 */


#ifndef _NGX_HTTP_IMAGXP_H_INCLUDED_
#define _NGX_HTTP_IMAGXP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <imagxp.h>


#define NGX_HTTP_IMAGXP_OFF       0
#define NGX_HTTP_IMAGXP_ON        1
#define NGX_HTTP_IMAGXP_LOG_ONLY  2

/* docs/threats.md, section 8 */

#define NGX_HTTP_IMAGXP_FETCH_TIME    1500
#define NGX_HTTP_IMAGXP_FETCH_TICK    100
#define NGX_HTTP_IMAGXP_RESOLVE_TIME  500
#define NGX_HTTP_IMAGXP_FETCHES       64
#define NGX_HTTP_IMAGXP_NET_FETCHES   8
#define NGX_HTTP_IMAGXP_REFRESH_PAUSE 30
#define NGX_HTTP_IMAGXP_NEEDS         3


typedef struct {
    ngx_str_t                     scheme;
    ngx_str_t                     authority;
} ngx_http_imagxp_origin_t;


typedef struct {
    ngx_str_t                     url;
    ngx_str_t                     jwks;
    ngx_str_t                     issuer;
    ngx_str_t                     price;
} ngx_http_imagxp_broker_t;


/* a compiled policy, and what answers need to know of it */

typedef struct {
    uint64_t                      words[IMAGXP_POLICY_WORDS];
    ngx_str_t                     json;
    ngx_str_t                     discovery;
    ngx_str_t                     broker;
    ngx_str_t                     price;
    uint32_t                      flags;
    uint32_t                      window;          /* ms */
    ngx_uint_t                    issuers;
} ngx_http_imagxp_policy_t;


typedef struct {
    ngx_uint_t                    rate;
    ngx_uint_t                    burst;
} ngx_http_imagxp_limit_t;


typedef struct {
    imagxp_key_cache_sizes        keys;
    ngx_uint_t                    issuers;
    ngx_http_imagxp_limit_t       fail_limit;
    ngx_array_t                  *allow;           /* of ngx_cidr_t */
    ngx_array_t                  *trial;
    ngx_array_t                  *deny;            /* of ngx_cidr_t */
    imagxp_key                   *key;             /* the publisher's */
    ngx_path_t                   *evidence;
    ngx_uint_t                    evidence_all;    /* unsigned  :1; */
    ngx_uint_t                    provenance;      /* unsigned  :1; */
    ngx_uint_t                    enabled;         /* unsigned  enabled:1; */
} ngx_http_imagxp_main_conf_t;


typedef struct {
    ngx_uint_t                    mode;
    ngx_str_t                     policy_text;
    ngx_array_t                  *origins;
    ngx_http_imagxp_broker_t     *broker;
    ngx_http_imagxp_policy_t     *policy;
    ngx_shm_zone_t               *zone;
    ngx_str_t                     manifest_location;
    ngx_flag_t                    documents;
    ngx_flag_t                    upstream_headers;
    ngx_open_file_t              *story;
    ngx_uint_t                    story_format;
    ngx_uint_t                    provenance;      /* IMAGXP_ORIGIN_* */
} ngx_http_imagxp_loc_conf_t;


/* the replay cache of all workers, in the shared zone */

typedef struct {
    uint64_t                     *words;
    size_t                        len;
    uint32_t                      window;          /* ms, of those who admit */
    ngx_uint_t                    superseded;      /* by a resized zone */
} ngx_http_imagxp_shared_t;


typedef struct {
    ngx_http_imagxp_shared_t     *shared;
    ngx_slab_pool_t              *shpool;
    uint32_t                      window;          /* ms; 0: not used */
} ngx_http_imagxp_zone_t;


typedef struct ngx_http_imagxp_ctx_s     ngx_http_imagxp_ctx_t;
typedef struct ngx_http_imagxp_flight_s  ngx_http_imagxp_flight_t;


/* one document on its way, for all requests of this worker that want it */

struct ngx_http_imagxp_flight_s {
    ngx_queue_t                   queue;
    ngx_queue_t                   waiters;         /* of contexts */
    ngx_http_request_t           *request;         /* whose subrequest it is */
    ngx_http_request_t           *subrequest;
    ngx_resolver_ctx_t           *resolve;
    ngx_event_t                   timer;
    ngx_msec_t                    deadline;
    ngx_uint_t                    kind;
    ngx_uint_t                    configured;
    size_t                        max_len;
    ngx_str_t                     url;
    ngx_str_t                     scheme;
    ngx_str_t                     host;            /* "name:port" */
    ngx_str_t                     name;
    ngx_str_t                     uri;
    in_port_t                     port;
    ngx_str_t                     address;         /* checked, with port */
    ngx_str_t                     certificate;     /* none, whatever */
    u_char                        net[6];          /* its /24 or /48 */
    u_char                       *body;
    size_t                        len;
    ngx_uint_t                    http_status;
    time_t                        age;             /* in the store; 0: new */
    time_t                        max_age;
    u_char                        sha256[32];      /* in the evidence */
    unsigned                      fresh:1;         /* pass the store by */
    unsigned                      refresh:1;       /* nobody waits for it */
    unsigned                      held:1;          /* counts in the request */
    unsigned                      charged:1;       /* to the client's names */
    unsigned                      media_type:1;
    unsigned                      complete:1;
    unsigned                      too_large:1;
    unsigned                      done:1;
};


/* the decision about one request; it survives internal redirects */

struct ngx_http_imagxp_ctx_s {
    ngx_http_request_t           *request;
    ngx_queue_t                   queue;           /* in flight->waiters */
    ngx_http_imagxp_flight_t     *flight;
    ngx_event_t                   wake;
    ngx_http_imagxp_policy_t     *policy;          /* it was judged by */
    imagxp_visit                  visit;
    imagxp_status                 status;
    imagxp_verified               verified;
    ngx_str_t                     agent;
    ngx_str_t                     kid;
    ngx_str_t                     nonce;
    ngx_str_t                     jti;
    ngx_str_t                     issuer;
    ngx_http_imagxp_flight_t     *last;            /* the last document's */
    uint32_t                      retry_after;
    int64_t                       received_ms;
    int64_t                       asked_ms;
    int64_t                       decided_ms;
    imagxp_fetch                  fetches[4];
    ngx_uint_t                    nfetches;
    ngx_uint_t                    needs;
    time_t                        age;             /* of that document */
    ngx_uint_t                    tries;
    unsigned                      carries:1;        /* it has a signature */
    unsigned                      waiting:1;       /* until wake is run */
    unsigned                      decided:1;
    unsigned                      answered:1;      /* with the refusal */
    unsigned                      uri_changes:4;   /* left at the refusal */
    unsigned                      at_admission:1;
    unsigned                      cleanup:1;
    unsigned                      admitted:1;      /* its nonce is spent */
    unsigned                      fresh:1;
    unsigned                      expired:1;       /* waited for too long */
    unsigned                      headers:1;       /* upstream headers set */
};


typedef struct {
    imagxp_key_cache              keys;
    imagxp_key_cache_sizes        sizes;
    imagxp_buf                    scratch;
    ngx_queue_t                   flights;
    ngx_uint_t                    nflights;
    ngx_event_t                   prepare;
    uint64_t                      prepare_ids[16];
    ngx_uint_t                    nprepare;
} ngx_http_imagxp_worker_t;


/* the evidence of this worker */

typedef struct {
    ngx_open_file_t              *file;
    ngx_log_t                    *log;
    imagxp_head                   head;
    imagxp_head                   sealed;
    imagxp_key                   *key;
    ngx_str_t                    *folder;
    off_t                         bytes;
    ngx_msec_t                    sealed_at;
    ngx_event_t                   timer;
    imagxp_buf                    line;
} ngx_http_imagxp_chain_t;


#define ngx_http_imagxp_str(s)                                                \
    imagxp_str_of((const char *) (s).data, (s).len)


/* conf.c */
void *ngx_http_imagxp_create_main_conf(ngx_conf_t *cf);
char *ngx_http_imagxp_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_imagxp_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_imagxp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* directives.c */
char *ngx_http_imagxp_set_policy(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_imagxp_set_audience(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_imagxp_set_broker(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_imagxp_set_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* policy.c */
char *ngx_http_imagxp_compile(ngx_conf_t *cf, ngx_http_imagxp_loc_conf_t *conf);

/* access.c */
ngx_int_t ngx_http_imagxp_access_handler(ngx_http_request_t *r);

/* ctx.c */
ngx_http_imagxp_ctx_t *ngx_http_imagxp_get_ctx(ngx_http_request_t *r);
ngx_http_imagxp_ctx_t *ngx_http_imagxp_create_ctx(ngx_http_request_t *r);
ngx_int_t ngx_http_imagxp_keep(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);

/* visit.c */
ngx_int_t ngx_http_imagxp_visit(ngx_http_request_t *r,
    ngx_http_imagxp_loc_conf_t *conf, ngx_http_imagxp_ctx_t *ctx);

/* verdict.c */
ngx_int_t ngx_http_imagxp_conclude(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);
ngx_int_t ngx_http_imagxp_answer(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_loc_conf_t *conf);

/* zone.c */
char *ngx_http_imagxp_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_imagxp_zones_commit(ngx_cycle_t *cycle);
imagxp_status ngx_http_imagxp_admit(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_zone_t *zone);

/* worker.c */
extern ngx_http_imagxp_worker_t  ngx_http_imagxp_worker;
char *ngx_http_imagxp_set_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_imagxp_init_module(ngx_cycle_t *cycle);
ngx_int_t ngx_http_imagxp_init_process(ngx_cycle_t *cycle);
ngx_int_t ngx_http_imagxp_new_keys(ngx_log_t *log);
int64_t ngx_http_imagxp_now(void);
ngx_int_t ngx_http_imagxp_random(u_char *out, size_t len);
void ngx_http_imagxp_prepare(uint64_t id);

/* budget.c */
char *ngx_http_imagxp_set_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_imagxp_budget_init(ngx_cycle_t *cycle);
ngx_uint_t ngx_http_imagxp_budget_failed(ngx_http_request_t *r,
    ngx_http_imagxp_limit_t *limit);
void ngx_http_imagxp_budget_fail(ngx_http_request_t *r,
    ngx_http_imagxp_limit_t *limit);
ngx_uint_t ngx_http_imagxp_budget_fetch(ngx_http_request_t *r);
void ngx_http_imagxp_budget_refund(ngx_http_request_t *r);

/* fetch.c */
ngx_int_t ngx_http_imagxp_fetch(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, imagxp_need *need, ngx_uint_t refresh);
ngx_int_t ngx_http_imagxp_fetch_again(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);
ngx_http_imagxp_flight_t *ngx_http_imagxp_create_flight(
    ngx_http_request_t *r, ngx_http_imagxp_flight_t *wanted);

/* flight.c */
ngx_int_t ngx_http_imagxp_take_off(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight);
void ngx_http_imagxp_flight_done(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer);
void ngx_http_imagxp_unreachable(ngx_http_imagxp_flight_t *flight);

/* waiter.c */
ngx_int_t ngx_http_imagxp_board(ngx_http_imagxp_flight_t *flight,
    ngx_http_imagxp_ctx_t *ctx);
void ngx_http_imagxp_wake(ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_flight_t *flight, imagxp_answer *answer);
void ngx_http_imagxp_leave(ngx_http_imagxp_ctx_t *ctx);

/* address.c */
char *ngx_http_imagxp_set_address(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_imagxp_resolve(ngx_http_imagxp_flight_t *flight);

/* document.c */
char *ngx_http_imagxp_set_documents(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_imagxp_document_start(ngx_http_imagxp_flight_t *flight);
ngx_int_t ngx_http_imagxp_document_abort(ngx_http_imagxp_flight_t *flight);
void ngx_http_imagxp_document_check(ngx_http_imagxp_flight_t *flight);
void ngx_http_imagxp_document_too_large(ngx_http_imagxp_flight_t *flight);
ngx_http_imagxp_flight_t *ngx_http_imagxp_document(ngx_http_request_t *r);
ngx_int_t ngx_http_imagxp_document_body(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight, ngx_chain_t *in);

/* document_header.c */
ngx_int_t ngx_http_imagxp_document_header(ngx_http_request_t *r,
    ngx_http_imagxp_flight_t *flight);

/* refusal.c */
ngx_int_t ngx_http_imagxp_refuse(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_policy_t *policy);
ngx_int_t ngx_http_imagxp_send(ngx_http_request_t *r, ngx_str_t *body);
ngx_int_t ngx_http_imagxp_add_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* variables.c */
ngx_int_t ngx_http_imagxp_add_variables(ngx_conf_t *cf);

/* names.c */
ngx_str_t *ngx_http_imagxp_visitor(int32_t visitor);
ngx_str_t *ngx_http_imagxp_purpose(int32_t purpose);
ngx_str_t *ngx_http_imagxp_bound(int32_t bound);
ngx_str_t *ngx_http_imagxp_proof(int32_t proof);

/* headers.c */
ngx_int_t ngx_http_imagxp_strip_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_imagxp_strip(ngx_http_request_t *r);
ngx_int_t ngx_http_imagxp_set_headers(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx);

/* provenance.c */
ngx_int_t ngx_http_imagxp_provenance_header(ngx_http_request_t *r);

/* record.c */
void ngx_http_imagxp_record(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf);
imagxp_decision ngx_http_imagxp_decision_of(ngx_http_imagxp_ctx_t *ctx);

/* story.c */
char *ngx_http_imagxp_set_story(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_imagxp_story(ngx_http_request_t *r, ngx_http_imagxp_ctx_t *ctx,
    ngx_http_imagxp_loc_conf_t *conf);

/* evidence.c */
char *ngx_http_imagxp_set_evidence(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_imagxp_evidence(ngx_http_request_t *r,
    ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_main_conf_t *imcf);
void ngx_http_imagxp_evidence_document(ngx_http_imagxp_flight_t *flight,
    imagxp_answer *answer);

/* chain.c */
extern ngx_http_imagxp_chain_t  ngx_http_imagxp_chain;
ngx_int_t ngx_http_imagxp_chain_init(ngx_cycle_t *cycle,
    ngx_http_imagxp_main_conf_t *imcf);
void ngx_http_imagxp_chain_exit(ngx_cycle_t *cycle);
ngx_int_t ngx_http_imagxp_chain_append(imagxp_buf line, size_t len,
    imagxp_head *head);
void ngx_http_imagxp_chain_checkpoint(void);

/* discovery.c */
char *ngx_http_imagxp_discovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


extern ngx_module_t  ngx_http_imagxp_module;


#endif /* _NGX_HTTP_IMAGXP_H_INCLUDED_ */
