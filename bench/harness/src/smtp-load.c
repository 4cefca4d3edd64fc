/* smtp-load: an SMTP client for what smtp-source does not do: TLS, AUTH, many recipients, ten thousand connections.
 *
 *   smtp-load [options] PORT       on 127.0.0.1; one line of JSON on stdout when it ends
 *     -n N  messages in all (1000)           -s N  connections at once (20)
 *     -l N  octets of a message (4096)       -d    connections used again, else one message each
 *     -T    STARTTLS                         -a U:P  AUTH PLAIN
 *     -f A  reverse-path                     -t F  forward-path, with %d for a number that counts up
 *     -r N  recipients of a message (1)      -m N  that number begins again after N (5000)
 *     -P    MAIL, RCPT and DATA in one write -A N  from so many addresses, 127.1.0.1 and up (0: any)
 *     -o N  so many at most on their way to being open (128)
 *     -x N  ends after so many seconds (180)
 *     -g    opens all connections first (TLS and AUTH too), prints a line of JSON, and waits for a line of its input;
 *           then its clock starts. When its input ends instead, so does it: for connections that only stay open
 *     -b N  with -g: each connection sends one command a second, for N seconds, and their waits are counted
 *
 * One process, epoll, full TLS handshakes (no session is resumed: most mail comes from strangers), no check of the
 * certificate. cc -O2 -o smtp-load smtp-load.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum stage { CONNECT, BANNER, EHLO, STARTTLS, HANDSHAKE, AUTH, READY, MAIL, RCPT, DATA, BODY, QUIT, BUSY };
struct conn {
  int fd, number, answered;      /* answered: RCPTs of this message */
  enum stage stage;
  SSL *ssl;
  char in[1024];
  int inlen;
  char *out;                     /* what is to be sent: own memory, or the message that all share */
  size_t outlen, outoff;
  char own[256], *big;
  unsigned wants;                /* epoll events asked for */
  double since;                  /* busy: when the command went out */
  int turn, waiting;
};

static int total = 1000, sessions = 20, octets = 4096, reuse, tls, per = 1, modulo = 5000, together, addresses, most = 128, limit = 180, gate, busy, port;
static const char *from = "sender@src.test", *to = "%duser@example.test", *login;
static char *body, *auth, problem[300];
static size_t bodylen;
static long given, sent, errors, counter, opened, ready, finished, nwaits, mostwaits;
static int opening, announced, begun, ep;
static double *waits, t0, tlast;
static SSL_CTX *ctx;
static struct conn *conns;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void want(struct conn *c, unsigned events)
{
  if (c->wants == events) return;
  struct epoll_event e = { .events = events, .data.ptr = c };
  epoll_ctl(ep, c->wants ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e);
  c->wants = events;
}

static void dial(struct conn *c)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) { perror("socket"); exit(1); }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (addresses) { /* ports of one address run out: 28,000 at once, and each rests a minute after its use */
    unsigned k = opened % addresses;
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + (k / 250 << 8) + k % 250) };
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&own, sizeof own)) { perror("bind"); exit(1); }
  }
  opened++;
  opening++;
  c->stage = CONNECT;
  c->inlen = 0;
  c->outlen = c->outoff = 0;
  c->wants = 0;
  if (connect(c->fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS) { perror("connect"); exit(1); }
  want(c, EPOLLOUT);
}

static void hang_up(struct conn *c)
{
  if (c->ssl) SSL_free(c->ssl);
  c->ssl = NULL;
  close(c->fd);
  c->fd = -1;
  if (c->stage < READY) opening--;
}

static void failed(struct conn *c, const char *what, const char *text)
{
  if (!errors++) snprintf(problem, sizeof problem, "stage %d: %s %.200s", c->stage, what, text);
  for (char *p = problem; *p; p++) if (*p == '"' || *p == '\\' || (unsigned char)*p < 32) *p = ' ';
  if (c->stage >= MAIL && c->stage <= BODY) given--; /* somebody else's turn */
  hang_up(c);
  if (errors > 100 + (busy ? sessions : total) / 10) limit = 0;
  else if (given < total && (begun || !gate) && !busy) dial(c);
  else finished++;
}

/* 1: all is out, 0: later, -1: broken, and dealt with */
static int push(struct conn *c)
{
  while (c->outoff < c->outlen) {
    ssize_t n;
    if (c->ssl) {
      ERR_clear_error();
      n = SSL_write(c->ssl, c->out + c->outoff, c->outlen - c->outoff);
      if (n <= 0) {
        int e = SSL_get_error(c->ssl, n);
        if (e == SSL_ERROR_WANT_WRITE) return want(c, EPOLLIN | EPOLLOUT), 0;
        if (e == SSL_ERROR_WANT_READ) return want(c, EPOLLIN), 0;
      }
    } else {
      n = send(c->fd, c->out + c->outoff, c->outlen - c->outoff, MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return want(c, EPOLLIN | EPOLLOUT), 0;
    }
    if (n <= 0) return failed(c, "write:", strerror(errno)), -1;
    c->outoff += n;
  }
  want(c, EPOLLIN);
  return 1;
}

static int emit(struct conn *c, char *octets, size_t length)
{
  c->out = octets;
  c->outlen = length;
  c->outoff = 0;
  return push(c);
}

static int line(struct conn *c, const char *text)
{
  return emit(c, c->own, snprintf(c->own, sizeof c->own, "%s\r\n", text));
}

static int rcpt_line(char *at, size_t room)
{
  int n = snprintf(at, room, "RCPT TO:<");
  n += snprintf(at + n, room - n, to, (int)(counter++ % modulo));
  return n + snprintf(at + n, room - n, ">\r\n");
}

static void begin(struct conn *c)
{
  if (given >= total) {
    c->stage = QUIT;
    line(c, "QUIT");
    return;
  }
  given++;
  c->stage = MAIL;
  c->answered = 0;
  size_t room = 256 + 200 * (size_t)(together ? per : 0), n;
  if (!c->big) c->big = malloc(room);
  n = snprintf(c->big, room, "MAIL FROM:<%s>\r\n", from);
  if (together) {
    for (int k = 0; k < per; k++) n += rcpt_line(c->big + n, room - n);
    n += snprintf(c->big + n, room - n, "DATA\r\n");
  }
  emit(c, c->big, n);
}

static void announce(void)
{
  announced = 1;
  printf("{\"ready\":%.3f,\"conns\":%ld,\"errors\":%ld,\"error\":\"%s\"}\n", now() - t0, ready, errors, problem);
  fflush(stdout);
}

static void go(void)
{
  begun = 1;
  epoll_ctl(ep, EPOLL_CTL_DEL, 0, NULL);
  t0 = now();
  for (int k = 0; k < sessions; k++) {
    struct conn *c = &conns[k];
    if (c->fd < 0 || c->stage != READY) continue;
    if (busy) c->stage = BUSY;
    else begin(c);
  }
}

static void at_ready(struct conn *c)
{
  opening--;
  c->stage = READY;
  ready++;
  if (begun || !gate) begin(c);
}

static void handshake(struct conn *c)
{
  ERR_clear_error();
  int r = SSL_do_handshake(c->ssl);
  if (r == 1) {
    c->stage = EHLO;
    line(c, "EHLO bench.test");
    return;
  }
  int e = SSL_get_error(c->ssl, r);
  if (e == SSL_ERROR_WANT_READ) want(c, EPOLLIN);
  else if (e == SSL_ERROR_WANT_WRITE) want(c, EPOLLOUT);
  else failed(c, "handshake:", ERR_error_string(ERR_get_error(), NULL));
}

static void reply(struct conn *c, const char *text)
{
  static const char *expected[] = { "", "220", "250", "220", "", "235", "", "250", "250", "354", "250", "221", "250" };
  if (strncmp(text, expected[c->stage], 3)) return failed(c, "reply:", text);
  switch (c->stage) {
  case BANNER:
    c->stage = EHLO;
    line(c, "EHLO bench.test");
    return;
  case EHLO:
    if (tls && !c->ssl) {
      c->stage = STARTTLS;
      line(c, "STARTTLS");
    } else if (login) {
      c->stage = AUTH;
      emit(c, auth, strlen(auth));
    } else at_ready(c);
    return;
  case STARTTLS:
    c->stage = HANDSHAKE;
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    return handshake(c);
  case AUTH:
    return at_ready(c);
  case MAIL:
    c->stage = RCPT;
    if (!together) emit(c, c->own, rcpt_line(c->own, sizeof c->own));
    return;
  case RCPT:
    if (++c->answered < per) {
      if (!together) emit(c, c->own, rcpt_line(c->own, sizeof c->own));
      return;
    }
    c->stage = DATA;
    if (!together) line(c, "DATA");
    return;
  case DATA:
    c->stage = BODY;
    emit(c, body, bodylen);
    return;
  case BODY:
    sent++;
    tlast = now();
    if (reuse) return begin(c);
    c->stage = QUIT;
    line(c, "QUIT");
    return;
  case QUIT:
    tlast = now();
    hang_up(c);
    if (given < total) dial(c);
    else finished++;
    return;
  case BUSY:
    if (nwaits < mostwaits) waits[nwaits++] = now() - c->since;
    c->waiting = 0;
    return;
  default:
    return failed(c, "unasked:", text);
  }
}

static void readable(struct conn *c)
{
  for (;;) {
    ssize_t n;
    int room = sizeof c->in - 1 - c->inlen;
    if (c->ssl) {
      ERR_clear_error();
      n = SSL_read(c->ssl, c->in + c->inlen, room);
      if (n <= 0) {
        int e = SSL_get_error(c->ssl, n);
        if (e == SSL_ERROR_WANT_READ) return;
        if (e == SSL_ERROR_WANT_WRITE) return want(c, EPOLLIN | EPOLLOUT);
      }
    } else {
      n = recv(c->fd, c->in + c->inlen, room, 0);
      if (n < 0 && errno == EAGAIN) return;
    }
    if (n <= 0) return failed(c, "closed", "");
    c->inlen += n;
    char *at = c->in, *end;
    int fd = c->fd;
    while ((end = memchr(at, '\n', c->in + c->inlen - at))) {
      *end = 0;
      char *text = at;
      at = end + 1;
      if (end - text < 4 || text[3] == '-') continue;
      enum stage before = c->stage;
      reply(c, text);
      if (c->fd != fd || c->stage == CONNECT) return; /* this connection is over */
      if (before == STARTTLS) { c->inlen = 0; return; }
    }
    c->inlen -= at - c->in;
    memmove(c->in, at, c->inlen);
    if (c->inlen == sizeof c->in - 1) return failed(c, "long line", "");
  }
}

static void event(struct conn *c, unsigned events)
{
  if (c->fd < 0) return;
  if (c->stage == CONNECT) {
    int e = 0;
    socklen_t l = sizeof e;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
    if (e) return failed(c, "connect:", strerror(e));
    c->stage = BANNER;
    want(c, EPOLLIN);
    return;
  }
  if (c->stage == HANDSHAKE) return handshake(c);
  if (c->outoff < c->outlen && push(c) < 0) return;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
}

/* each connection has its turn once a second; one whose last reply has not come yet is left waiting, and that wait counts */
static void busy_round(double t)
{
  static const char *turns[] = { "NOOP", "MAIL FROM:<sender@src.test>", "", "RSET" };
  static long due;
  for (; t0 + (double)due / sessions <= t; due++) {
    struct conn *c = &conns[due % sessions];
    if (c->fd < 0 || c->waiting) continue;
    c->since = now();
    c->waiting = 1;
    int turn = c->turn++ % 4;
    if (turn == 2) emit(c, c->own, rcpt_line(c->own, sizeof c->own));
    else line(c, turns[turn]);
  }
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void prepare(void)
{
  char head[400];
  int n = snprintf(head, sizeof head, "From: <%s>\r\nTo: <list@src.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nSubject: bench\r\nMessage-Id: <%ld.%d@src.test>\r\n\r\n", from, (long)time(NULL), getpid());
  body = malloc(n + octets + 100);
  memcpy(body, head, n);
  for (int k = 0; n < octets - 2; k++) body[n++] = k % 80 < 78 ? 'x' : k % 80 == 78 ? '\r' : '\n';
  while (body[n - 1] == '\r' || body[n - 1] == '\n') n--;
  memcpy(body + n, "\r\n.\r\n", 5);
  bodylen = n + 5;
  if (login) {
    unsigned char plain[200];
    char code[400];
    int l = snprintf((char *)plain, sizeof plain, "%c%s", 0, login);
    for (int k = 1; k < l; k++) if (plain[k] == ':') { plain[k] = 0; break; }
    EVP_EncodeBlock((unsigned char *)code, plain, l);
    auth = malloc(500);
    snprintf(auth, 500, "AUTH PLAIN %s\r\n", code);
  }
  if (tls) {
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  }
  struct rlimit r = { 1 << 18, 1 << 18 };
  setrlimit(RLIMIT_NOFILE, &r);
  signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
  int o;
  while ((o = getopt(argc, argv, "n:s:l:dTa:f:t:r:m:PA:x:o:gb:")) > 0) switch (o) {
    case 'n': total = atoi(optarg); break;
    case 's': sessions = atoi(optarg); break;
    case 'l': octets = atoi(optarg); break;
    case 'd': reuse = 1; break;
    case 'T': tls = 1; break;
    case 'a': login = optarg; break;
    case 'f': from = optarg; break;
    case 't': to = optarg; break;
    case 'r': per = atoi(optarg); break;
    case 'm': modulo = atoi(optarg); break;
    case 'P': together = 1; break;
    case 'A': addresses = atoi(optarg); break;
    case 'x': limit = atoi(optarg); break;
    case 'o': most = atoi(optarg); break;
    case 'g': gate = 1; break;
    case 'b': busy = atoi(optarg); break;
    default: return 2;
  }
  if (optind != argc - 1 || !(port = atoi(argv[optind]))) return 2;
  if (!gate && sessions > total) sessions = total;
  prepare();
  mostwaits = busy ? (long)sessions * (busy + 1) : 0;
  waits = malloc((mostwaits + 1) * sizeof *waits);
  conns = calloc(sessions, sizeof *conns);
  ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event in = { .events = EPOLLIN, .data.ptr = NULL }, events[512];
  if (gate) epoll_ctl(ep, EPOLL_CTL_ADD, 0, &in);
  int started = 0;
  double t = t0 = tlast = now(), begin_at = t;
  while (t - begin_at < limit && (finished < sessions || (gate && !begun)) && !(busy && begun && t - t0 > busy)) {
    while (started < sessions && opening < most) dial(&conns[started++]);
    int n = epoll_wait(ep, events, 512, busy && begun ? 1 : 100);
    for (int k = 0; k < n; k++) {
      char word[80];
      if (events[k].data.ptr) event(events[k].data.ptr, events[k].events);
      else if (read(0, word, sizeof word) <= 0) return 0;
      else if (!begun) go();
    }
    if (gate && !announced && started == sessions && !opening) announce();
    t = now();
    if (busy && begun) busy_round(t);
  }
  if (t - begin_at >= limit) { errors++; if (!*problem) strcpy(problem, "out of time"); }
  for (int k = 0; busy && k < sessions; k++) /* who still waits has waited so long at least */
    if (conns[k].waiting && nwaits < mostwaits) waits[nwaits++] = t - conns[k].since;
  printf("{\"sent\":%ld,\"seconds\":%.4f,\"opened\":%ld,\"errors\":%ld,\"error\":\"%s\"", sent, tlast - t0, opened, errors, problem);
  if (nwaits) {
    qsort(waits, nwaits, sizeof *waits, ascending);
    printf(",\"waits\":%ld,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f", nwaits, 1000 * waits[nwaits / 2], 1000 * waits[(long)(nwaits * .99)], 1000 * waits[nwaits - 1]);
  }
  printf("}\n");
  return errors > 0;
}
