/*
 * TLS 1.3 on a connected, non-blocking socket: the client's side, with a pre-shared key and an ephemeral X25519 exchange
 * (psk_dhe_ke, RFC 8446 section 4.2.9); SHA-256; signatures of ECDSA over P-256. All of it is Mbed TLS's
 * (mbedtls_config.h); here are its sockets, its random numbers and the functions callable from JavaScript.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>

#include "bw.h"

#define KEY_SIZE 32
#define DIGEST_SIZE 32
#define POINT_SIZE 65
#define SIGNATURE_SIZE 64
#define RECORD_MAX 16384
#define IDENTITY_MAX 128

struct session {
  int fd;
  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
};

static JSClassID session_class, hash_class;

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                             size_t size, size_t *length) {
  (void)context;
  for (*length = 0; *length < size;) {
    /* Waits for as long as the kernel has no random numbers yet. */
    ssize_t got = getrandom(output + *length, size - *length, 0);
    if (got < 0 && errno != EINTR) return PSA_ERROR_INSUFFICIENT_ENTROPY;
    if (got > 0) *length += (size_t)got;
  }
  return PSA_SUCCESS;
}

/* How a call to the kernel ended, as Mbed TLS wants it; errno is left for who gave up. */
static int outcome(ssize_t moved, int again) {
  if (moved >= 0) return (int)moved;
  return errno == EAGAIN || errno == EINTR ? again : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int take(void *opaque, unsigned char *bytes, size_t size) {
  ssize_t got = recv(((struct session *)opaque)->fd, bytes, size, MSG_DONTWAIT);
  return got == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : outcome(got, MBEDTLS_ERR_SSL_WANT_READ);
}

static int give(void *opaque, const unsigned char *bytes, size_t size) {
  ssize_t put = send(((struct session *)opaque)->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return outcome(put, MBEDTLS_ERR_SSL_WANT_WRITE);
}

/* The peer's alert is one of a wrong key (Host.secure). */
static int key_refused(const struct session *session, int status) {
  if (status != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) return 0;
  unsigned char alert = session->ssl.MBEDTLS_PRIVATE(in_msg)[1];
  return alert == MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER || alert == MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR ||
         alert == MBEDTLS_SSL_ALERT_MSG_UNKNOWN_PSK_IDENTITY;
}

static JSValue fail(JSContext *ctx, int status, const char *what) {
  char subject[96];
  /* The kernel's own words where the connection broke; else it was TLS. */
  if (status != MBEDTLS_ERR_SSL_INTERNAL_ERROR || errno == 0) {
    errno = status == MBEDTLS_ERR_SSL_CONN_EOF ? ECONNRESET : status == MBEDTLS_ERR_SSL_ALLOC_FAILED ? ENOMEM : EPROTO;
  }
  const char *why = status == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE ? ", refused by the peer"
                    : status == MBEDTLS_ERR_SSL_INVALID_MAC       ? ", a record was changed on its way"
                                                                  : "";
  snprintf(subject, sizeof subject, "%s%s (Mbed TLS -0x%04x)", what, why, (unsigned)-status);
  return bw_fail(ctx, "tls", subject);
}

static void end(struct session *session) {
  /* Both wipe what they held of keys. */
  mbedtls_ssl_free(&session->ssl);
  mbedtls_ssl_config_free(&session->config);
  free(session);
}

static void finalize_session(JSRuntime *rt, JSValue value) {
  struct session *session = JS_GetOpaque(value, session_class);
  if (session) end(session);
}

static int set_up(struct session *session, const char *identity, const uint8_t *key) {
  int status = mbedtls_ssl_config_defaults(&session->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_tls13_key_exchange_modes(&session->config, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
  mbedtls_ssl_conf_rng(&session->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
  static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
  mbedtls_ssl_conf_groups(&session->config, groups);
  if (!status)
    status = mbedtls_ssl_conf_psk(&session->config, key, KEY_SIZE, (const uint8_t *)identity, strlen(identity));
  if (!status) status = mbedtls_ssl_setup(&session->ssl, &session->config);
  if (!status) mbedtls_ssl_set_bio(&session->ssl, session, give, take, NULL);
  return status;
}

/* tlsStart(fd, identity, key): what the other calls take first. The descriptor stays the caller's. */
static JSValue tls_start(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  size_t key_size;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  const uint8_t *key = bw_bytes(ctx, argv[2], &key_size);
  if (!key) return JS_EXCEPTION;
  const char *identity = JS_ToCString(ctx, argv[1]);
  if (!identity) return JS_EXCEPTION;
  int good = key_size == KEY_SIZE && strlen(identity) >= 1 && strlen(identity) <= IDENTITY_MAX;
  struct session *session = good ? calloc(1, sizeof *session) : NULL;
  JSValue result = JS_NULL;
  if (!session) {
    errno = good ? ENOMEM : EINVAL;
    result = bw_fail(ctx, "tls", "identity of 1 to 128 bytes, key of 32");
  } else {
    session->fd = fd;
    mbedtls_ssl_init(&session->ssl);
    mbedtls_ssl_config_init(&session->config);
    result = JS_NewObjectClass(ctx, (int)session_class);
    JS_SetOpaque(result, session);
    int status = psa_crypto_init() == PSA_SUCCESS ? set_up(session, identity, key) : MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
    if (status) {
      JS_FreeValue(ctx, result);
      errno = 0;
      result = fail(ctx, status, "start");
    }
  }
  JS_FreeCString(ctx, identity);
  return result;
}

/* tlsHandshake(session): 0 once it is done, else what to wait for on the descriptor. */
static JSValue tls_handshake(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct session *session = JS_GetOpaque2(ctx, argv[0], session_class);
  if (!session) return JS_EXCEPTION;
  errno = 0;
  int status = mbedtls_ssl_handshake(&session->ssl);
  if (status == MBEDTLS_ERR_SSL_WANT_READ) return JS_NewInt32(ctx, POLLIN);
  if (status == MBEDTLS_ERR_SSL_WANT_WRITE) return JS_NewInt32(ctx, POLLOUT);
  if (!status) return JS_NewInt32(ctx, 0);
  if (!key_refused(session, status)) return fail(ctx, status, "handshake");
  errno = EKEYREJECTED;
  return bw_fail(ctx, "tls", "handshake, refused by the peer");
}

/*
 * Says why this side ends (RFC 8446 sections 5 and 5.2): Mbed TLS does not by itself, and the other side would take a record that
 * somebody put in or changed on its way for an end in order.
 */
static void alert(struct session *session, int status) {
  if (status != MBEDTLS_ERR_SSL_INVALID_MAC && status != MBEDTLS_ERR_SSL_INVALID_RECORD &&
      status != MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE) return;
  mbedtls_ssl_send_alert_message(
      &session->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
      status == MBEDTLS_ERR_SSL_INVALID_MAC ? MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC
                                            : MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE);
}

/* tlsRead(session): what one record had; empty at the end of the stream, null where nothing is there yet. */
static JSValue tls_read(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct session *session = JS_GetOpaque2(ctx, argv[0], session_class);
  if (!session) return JS_EXCEPTION;
  static uint8_t record[RECORD_MAX];
  errno = 0;
  int got = mbedtls_ssl_read(&session->ssl, record, sizeof record);
  if (got == MBEDTLS_ERR_SSL_WANT_READ || got == MBEDTLS_ERR_SSL_WANT_WRITE) return JS_NULL;
  if (got == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || got == MBEDTLS_ERR_SSL_CONN_EOF) got = 0;
  if (got < 0) {
    int broke = errno;
    alert(session, got);
    errno = broke;
    return fail(ctx, got, "read");
  }
  return JS_NewArrayBufferCopy(ctx, record, (size_t)got);
}

/*
 * tlsWrite(session, bytes): bytes taken; -1 where the descriptor takes none now: then the same bytes must come next, because
 * some of them are on their way already.
 */
static JSValue tls_write(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct session *session = JS_GetOpaque2(ctx, argv[0], session_class);
  size_t length;
  const uint8_t *bytes = session ? bw_bytes(ctx, argv[1], &length) : NULL;
  if (!bytes) return JS_EXCEPTION;
  errno = 0;
  int put = mbedtls_ssl_write(&session->ssl, bytes, length);
  if (put == MBEDTLS_ERR_SSL_WANT_READ || put == MBEDTLS_ERR_SSL_WANT_WRITE) return JS_NewInt32(ctx, -1);
  return put < 0 ? fail(ctx, put, "write") : JS_NewInt32(ctx, put);
}

/* tlsEnd(session): says close_notify where the descriptor takes it, and wipes its keys. */
static JSValue tls_end(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct session *session = JS_GetOpaque2(ctx, argv[0], session_class);
  if (!session) return JS_EXCEPTION;
  mbedtls_ssl_close_notify(&session->ssl);
  JS_SetOpaque(argv[0], NULL);
  end(session);
  return JS_UNDEFINED;
}

static void finalize_hash(JSRuntime *rt, JSValue value) {
  psa_hash_operation_t *hash = JS_GetOpaque(value, hash_class);
  if (!hash) return;
  psa_hash_abort(hash);
  free(hash);
}

static JSValue refuse(JSContext *ctx, const char *what) {
  errno = EINVAL;
  return bw_fail(ctx, "sha256", what);
}

/* sha256Start(): a digest to which bytes are added. */
static JSValue sha256_start(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  psa_hash_operation_t *hash = calloc(1, sizeof *hash);
  if (!hash) return JS_ThrowOutOfMemory(ctx);
  JSValue result = JS_NewObjectClass(ctx, (int)hash_class);
  JS_SetOpaque(result, hash);
  if (psa_crypto_init() == PSA_SUCCESS && psa_hash_setup(hash, PSA_ALG_SHA_256) == PSA_SUCCESS) return result;
  JS_FreeValue(ctx, result);
  return refuse(ctx, "start");
}

static JSValue sha256_add(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  psa_hash_operation_t *hash = JS_GetOpaque2(ctx, argv[0], hash_class);
  size_t length;
  const uint8_t *bytes = hash ? bw_bytes(ctx, argv[1], &length) : NULL;
  if (!bytes) return JS_EXCEPTION;
  return psa_hash_update(hash, bytes, length) == PSA_SUCCESS ? JS_UNDEFINED : refuse(ctx, "add: ended already");
}

static JSValue sha256_end(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  psa_hash_operation_t *hash = JS_GetOpaque2(ctx, argv[0], hash_class);
  if (!hash) return JS_EXCEPTION;
  uint8_t digest[DIGEST_SIZE];
  size_t length;
  if (psa_hash_finish(hash, digest, sizeof digest, &length) != PSA_SUCCESS) return refuse(ctx, "end: ended already");
  return JS_NewArrayBufferCopy(ctx, digest, length);
}

/* verify(point, bytes, signature): true where the key of this point signed these bytes. */
static JSValue verify(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t point_size, size, signature_size;
  const uint8_t *point = bw_bytes(ctx, argv[0], &point_size);
  const uint8_t *bytes = point ? bw_bytes(ctx, argv[1], &size) : NULL;
  const uint8_t *signature = bytes ? bw_bytes(ctx, argv[2], &signature_size) : NULL;
  if (!signature) return JS_EXCEPTION;
  if (point_size != POINT_SIZE || signature_size != SIGNATURE_SIZE) return JS_FALSE;
  psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
  psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
  psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
  psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
  psa_key_id_t key;
  if (psa_crypto_init() != PSA_SUCCESS || psa_import_key(&attributes, point, point_size, &key) != PSA_SUCCESS)
    return JS_FALSE;
  psa_status_t status =
      psa_verify_message(key, PSA_ALG_ECDSA(PSA_ALG_SHA_256), bytes, size, signature, signature_size);
  psa_destroy_key(key);
  return JS_NewBool(ctx, status == PSA_SUCCESS);
}

static const JSClassDef session_definition = {"TlsSession", .finalizer = finalize_session};
static const JSClassDef hash_definition = {"Sha256", .finalizer = finalize_hash};

int bw_tls_classes(JSContext *ctx) {
  JS_NewClassID(&session_class);
  JS_NewClassID(&hash_class);
  return JS_NewClass(JS_GetRuntime(ctx), session_class, &session_definition) ||
         JS_NewClass(JS_GetRuntime(ctx), hash_class, &hash_definition);
}

const JSCFunctionListEntry bw_tls_calls[] = {
    JS_CFUNC_DEF("tlsStart", 3, tls_start),       JS_CFUNC_DEF("tlsHandshake", 1, tls_handshake),
    JS_CFUNC_DEF("tlsRead", 1, tls_read),         JS_CFUNC_DEF("tlsWrite", 2, tls_write),
    JS_CFUNC_DEF("tlsEnd", 1, tls_end),           JS_CFUNC_DEF("sha256Start", 0, sha256_start),
    JS_CFUNC_DEF("sha256Add", 2, sha256_add),     JS_CFUNC_DEF("sha256End", 1, sha256_end),
    JS_CFUNC_DEF("verify", 3, verify),
};
const int bw_tls_call_count = BW_COUNT(bw_tls_calls);
