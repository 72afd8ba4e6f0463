
/*
 * The evidence is one chain a worker, in a file of its own that nobody else
 * ever writes.
 */


#include "ngx_http_imagxp.h"


/* the longest lines: docs/protocol.md, section 9, and include/imagxp.h */

#define NGX_HTTP_IMAGXP_DOCUMENT_LEN  (512 + 2048 + 4 * 65536 / 3 + 4)
#define NGX_HTTP_IMAGXP_SEAL_LEN      512


static ngx_int_t ngx_http_imagxp_open_chain(void);
static void ngx_http_imagxp_torn(void);
static void ngx_http_imagxp_seal(void);
static void ngx_http_imagxp_seal_handler(ngx_event_t *ev);


ngx_http_imagxp_chain_t  ngx_http_imagxp_chain;


/*
 * The file is new with each process: a chain is continued by nobody, and a
 * reload has two workers of the same number.
 */

ngx_int_t
ngx_http_imagxp_chain_init(ngx_cycle_t *cycle,
    ngx_http_imagxp_main_conf_t *imcf)
{
    ngx_str_t  *name;

    if (imcf->evidence == NULL) {
        return NGX_OK;
    }

    name = &ngx_http_imagxp_chain.file.name;

    name->data = ngx_pnalloc(cycle->pool, imcf->evidence->name.len
                                          + 2 * NGX_INT64_LEN
                                          + sizeof("/-.jsonl"));
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_imagxp_chain.file.log = cycle->log;
    ngx_http_imagxp_chain.folder = &imcf->evidence->name;

    if (ngx_http_imagxp_open_chain() != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_imagxp_chain.key = imcf->key;
    ngx_http_imagxp_chain.sealed_at = ngx_current_msec;

    ngx_http_imagxp_chain.line.len = NGX_HTTP_IMAGXP_DOCUMENT_LEN;
    ngx_http_imagxp_chain.line.ptr = ngx_palloc(cycle->pool,
                                                NGX_HTTP_IMAGXP_DOCUMENT_LEN);
    if (ngx_http_imagxp_chain.line.ptr == NULL) {
        return NGX_ERROR;
    }

    ngx_http_imagxp_chain.timer.handler = ngx_http_imagxp_seal_handler;
    ngx_http_imagxp_chain.timer.data = &ngx_http_imagxp_chain;
    ngx_http_imagxp_chain.timer.log = cycle->log;
    ngx_http_imagxp_chain.timer.cancelable = 1;

    ngx_add_timer(&ngx_http_imagxp_chain.timer, 1000);

    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_open_chain(void)
{
    ngx_file_t  *file;

    file = &ngx_http_imagxp_chain.file;

    file->name.len = ngx_sprintf(file->name.data, "%V/%L-%P.jsonl%Z",
                                 ngx_http_imagxp_chain.folder,
                                 ngx_http_imagxp_now(), ngx_pid)
                     - file->name.data - 1;

    file->fd = ngx_open_file(file->name.data, NGX_FILE_APPEND,
                             NGX_FILE_CREATE_OR_OPEN, 0640);

    if (file->fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, file->log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    ngx_memzero(&ngx_http_imagxp_chain.head, sizeof(imagxp_head));
    ngx_memzero(&ngx_http_imagxp_chain.sealed, sizeof(imagxp_head));
    ngx_http_imagxp_chain.bytes = 0;

    return NGX_OK;
}


void
ngx_http_imagxp_chain_exit(ngx_cycle_t *cycle)
{
    if (ngx_http_imagxp_chain.line.ptr == NULL) {
        return;
    }

    ngx_http_imagxp_seal();
    ngx_close_file(ngx_http_imagxp_chain.file.fd);
}


/* the chain goes on from what is in the file, whole */

ngx_int_t
ngx_http_imagxp_chain_append(imagxp_buf line, size_t len, imagxp_head *head)
{
    ssize_t  n;

    n = ngx_write_fd(ngx_http_imagxp_chain.file.fd, line.ptr, len);

    if (n != (ssize_t) len) {
        ngx_log_error(NGX_LOG_ALERT, ngx_http_imagxp_chain.file.log,
                      n == -1 ? ngx_errno : 0,
                      "imagxp: evidence could not be written to \"%V\"",
                      &ngx_http_imagxp_chain.file.name);

        if (n > 0) {
            ngx_http_imagxp_torn();
        }

        return NGX_ERROR;
    }

    ngx_http_imagxp_chain.head = *head;
    ngx_http_imagxp_chain.bytes += n;

    return NGX_OK;
}


/* what was torn would stand between this line and the next */

static void
ngx_http_imagxp_torn(void)
{
    ngx_file_t  *file;

    file = &ngx_http_imagxp_chain.file;

    if (ftruncate(file->fd, ngx_http_imagxp_chain.bytes) == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_ALERT, file->log, ngx_errno,
                  "ftruncate() \"%V\" failed, another file is begun",
                  &file->name);

    ngx_close_file(file->fd);

    /* without one each write fails, and says so */

    (void) ngx_http_imagxp_open_chain();
}


/* what was written is signed in time */

void
ngx_http_imagxp_chain_checkpoint(void)
{
    if (imagxp_evidence_wants_checkpoint(&ngx_http_imagxp_chain.head,
                                         &ngx_http_imagxp_chain.sealed,
                                         ngx_current_msec
                                         - ngx_http_imagxp_chain.sealed_at))
    {
        ngx_http_imagxp_seal();
    }
}


static void
ngx_http_imagxp_seal_handler(ngx_event_t *ev)
{
    ngx_http_imagxp_seal();

    ngx_add_timer(ev, 1000);
}


static void
ngx_http_imagxp_seal(void)
{
    size_t       len;
    u_char       hedge[32], text[NGX_HTTP_IMAGXP_SEAL_LEN];
    imagxp_buf   line;
    imagxp_head  head;

    if (ngx_http_imagxp_chain.head.count == ngx_http_imagxp_chain.sealed.count)
    {
        return;
    }

    line.ptr = text;
    line.len = sizeof(text);
    head = ngx_http_imagxp_chain.head;

    if (ngx_http_imagxp_random(hedge, sizeof(hedge)) != NGX_OK
        || imagxp_evidence_checkpoint(ngx_http_imagxp_chain.key, hedge, 0,
                                      ngx_http_imagxp_now(), &head, line, &len)
           != IMAGXP_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_http_imagxp_chain.file.log, 0,
                      "imagxp: no checkpoint could be signed");
        return;
    }

    if (ngx_http_imagxp_chain_append(line, len, &head) == NGX_OK) {
        ngx_http_imagxp_chain.sealed = head;
        ngx_http_imagxp_chain.sealed_at = ngx_current_msec;
    }
}
