
/*
 * The evidence is one chain a worker, in a file of its own that nobody else
 * ever writes.
 */


#include "ngx_http_imagxp.h"


/* the longest lines: docs/protocol.md, section 9, and include/imagxp.h */

#define NGX_HTTP_IMAGXP_DOCUMENT_LEN  (512 + 2048 + 4 * 65536 / 3 + 4)
#define NGX_HTTP_IMAGXP_SEAL_LEN      512

#define NGX_HTTP_IMAGXP_EVIDENCE_ACCESS  0640


static ngx_int_t ngx_http_imagxp_open_chain(void);
static void ngx_http_imagxp_begin(void);
static void ngx_http_imagxp_reopen(ngx_open_file_t *file, ngx_log_t *log);
static void ngx_http_imagxp_torn(void);
static void ngx_http_imagxp_seal(void);
static void ngx_http_imagxp_seal_handler(ngx_event_t *ev);


ngx_http_imagxp_chain_t  ngx_http_imagxp_chain;


/*
 * The file is new with each process: a chain is continued by nobody, and a
 * reload has two workers of the same number.  The master does not know it:
 * the worker adds it to the files that it reopens.
 */

ngx_int_t
ngx_http_imagxp_chain_init(ngx_cycle_t *cycle,
    ngx_http_imagxp_main_conf_t *imcf)
{
    ngx_open_file_t          *file;
    ngx_http_imagxp_chain_t  *chain;

    if (imcf->evidence == NULL) {
        return NGX_OK;
    }

    file = ngx_list_push(&cycle->open_files);
    if (file == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(file, sizeof(ngx_open_file_t));
    file->flush = ngx_http_imagxp_reopen;

    file->name.data = ngx_pnalloc(cycle->pool, imcf->evidence->name.len
                                               + 2 * NGX_INT64_LEN
                                               + sizeof("/-.jsonl"));
    if (file->name.data == NULL) {
        return NGX_ERROR;
    }

    chain = &ngx_http_imagxp_chain;

    chain->file = file;
    chain->log = cycle->log;
    chain->folder = &imcf->evidence->name;
    chain->key = imcf->key;
    chain->sealed_at = ngx_current_msec;

    if (ngx_http_imagxp_open_chain() != NGX_OK) {
        return NGX_ERROR;
    }

    chain->line.len = NGX_HTTP_IMAGXP_DOCUMENT_LEN;
    chain->line.ptr = ngx_palloc(cycle->pool, NGX_HTTP_IMAGXP_DOCUMENT_LEN);
    if (chain->line.ptr == NULL) {
        return NGX_ERROR;
    }

    chain->timer.handler = ngx_http_imagxp_seal_handler;
    chain->timer.data = chain;
    chain->timer.log = cycle->log;
    chain->timer.cancelable = 1;

    ngx_add_timer(&chain->timer, 1000);

    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_open_chain(void)
{
    ngx_open_file_t  *file;

    ngx_http_imagxp_begin();

    file = ngx_http_imagxp_chain.file;

    file->name.len = ngx_sprintf(file->name.data, "%V/%L-%P.jsonl%Z",
                                 ngx_http_imagxp_chain.folder,
                                 ngx_http_imagxp_now(), ngx_pid)
                     - file->name.data - 1;

    file->fd = ngx_open_file(file->name.data, NGX_FILE_APPEND,
                             NGX_FILE_CREATE_OR_OPEN|O_EXCL,
                             NGX_HTTP_IMAGXP_EVIDENCE_ACCESS);

    if (file->fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, ngx_http_imagxp_chain.log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_imagxp_begin(void)
{
    ngx_memzero(&ngx_http_imagxp_chain.head, sizeof(imagxp_head));
    ngx_memzero(&ngx_http_imagxp_chain.sealed, sizeof(imagxp_head));
    ngx_http_imagxp_chain.bytes = 0;

    /* what its decisions will rest on is fetched anew, and stands in it */

    (void) ngx_http_imagxp_new_keys(ngx_http_imagxp_chain.log);
}


/*
 * Called before nginx opens the file by its name once more, and when the
 * worker ends.  If it has been moved away, a chain ends there, and another
 * begins.
 */

static void
ngx_http_imagxp_reopen(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_fd_t         fd;
    ngx_file_info_t  fi, ofi;

    ngx_http_imagxp_seal();

    fd = ngx_open_file(file->name.data, NGX_FILE_APPEND,
                       NGX_FILE_CREATE_OR_OPEN,
                       NGX_HTTP_IMAGXP_EVIDENCE_ACCESS);

    if (fd == NGX_INVALID_FILE) {

        /* nginx will find the same, and say so */

        return;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &file->name);
        ngx_close_file(fd);
        return;
    }

    if (file->fd != NGX_INVALID_FILE) {

        if (ngx_fd_info(file->fd, &ofi) != NGX_FILE_ERROR
            && ofi.st_dev == fi.st_dev
            && ngx_file_uniq(&ofi) == ngx_file_uniq(&fi))
        {
            ngx_close_file(fd);
            return;
        }

        ngx_close_file(file->fd);
    }

    if (ngx_file_size(&fi) != 0) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "imagxp: \"%V\" is not this worker's evidence, "
                      "another file is begun", &file->name);
        ngx_close_file(fd);
        (void) ngx_http_imagxp_open_chain();
        return;
    }

    file->fd = fd;

    ngx_http_imagxp_begin();
}


void
ngx_http_imagxp_chain_exit(ngx_cycle_t *cycle)
{
    if (ngx_http_imagxp_chain.line.ptr == NULL) {
        return;
    }

    ngx_http_imagxp_seal();

    if (ngx_http_imagxp_chain.file->fd != NGX_INVALID_FILE) {
        ngx_close_file(ngx_http_imagxp_chain.file->fd);
        ngx_http_imagxp_chain.file->fd = NGX_INVALID_FILE;
    }
}


/* the chain goes on from what is in the file, whole */

ngx_int_t
ngx_http_imagxp_chain_append(imagxp_buf line, size_t len, imagxp_head *head)
{
    ssize_t  n;

    n = ngx_write_fd(ngx_http_imagxp_chain.file->fd, line.ptr, len);

    if (n != (ssize_t) len) {
        ngx_log_error(NGX_LOG_ALERT, ngx_http_imagxp_chain.log,
                      n == -1 ? ngx_errno : 0,
                      "imagxp: evidence could not be written to \"%V\"",
                      &ngx_http_imagxp_chain.file->name);

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
    ngx_open_file_t  *file;

    file = ngx_http_imagxp_chain.file;

    if (ftruncate(file->fd, ngx_http_imagxp_chain.bytes) == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_ALERT, ngx_http_imagxp_chain.log, ngx_errno,
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
        ngx_log_error(NGX_LOG_ALERT, ngx_http_imagxp_chain.log, 0,
                      "imagxp: no checkpoint could be signed");
        return;
    }

    if (ngx_http_imagxp_chain_append(line, len, &head) == NGX_OK) {
        ngx_http_imagxp_chain.sealed = head;
        ngx_http_imagxp_chain.sealed_at = ngx_current_msec;
    }
}
