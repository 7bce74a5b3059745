#include "tcp_identity.h"

#include <linux/inet_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "error.h"
#include "exports.h"
#include "sock_diag.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // Linux 5.14
#endif

// What the kernel says of TCP sockets: who they are, who holds their other end,
// and how many bytes went through them.

namespace {

using Napi::BigInt;

// 0 where the kernel does not know the option.
uint64_t CookieOf(int fd, int option) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(fd, SOL_SOCKET, option, &cookie, &length) != 0) return 0;
  return cookie;
}

Napi::Value Array(Napi::Env env, std::initializer_list<Napi::Value> values) {
  Napi::Array result = Napi::Array::New(env, values.size());
  uint32_t i = 0;
  for (Napi::Value value : values) result.Set(i++, value);
  return result;
}

bool IsLoopback(const struct sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<const struct sockaddr_in*>(&address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  auto* v6 = reinterpret_cast<const struct sockaddr_in6*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return v6->sin6_addr.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool IsSameHost(const struct sockaddr_storage& a, const struct sockaddr_storage& b) {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET) {
    return reinterpret_cast<const struct sockaddr_in*>(&a)->sin_addr.s_addr ==
           reinterpret_cast<const struct sockaddr_in*>(&b)->sin_addr.s_addr;
  }
  return std::memcmp(&reinterpret_cast<const struct sockaddr_in6*>(&a)->sin6_addr,
                     &reinterpret_cast<const struct sockaddr_in6*>(&b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

uint32_t PortOf(const struct sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<const struct sockaddr_in*>(&address)->sin_port
                                            : reinterpret_cast<const struct sockaddr_in6*>(&address)->sin6_port);
}

// localPorts(fd) -> 65536 * own port + the peer's, of a connection within this host by its addresses, else 0.
Napi::Value LocalPorts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = info[0].As<Napi::Number>().Int32Value();
  struct sockaddr_storage own;
  struct sockaddr_storage peer;
  socklen_t own_length = sizeof own;
  socklen_t peer_length = sizeof peer;
  if (getpeername(fd, reinterpret_cast<struct sockaddr*>(&peer), &peer_length) != 0 ||
      getsockname(fd, reinterpret_cast<struct sockaddr*>(&own), &own_length) != 0 ||
      (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) ||
      (!IsLoopback(peer) && !IsSameHost(own, peer))) {
    return Napi::Number::New(env, 0);
  }
  return Napi::Number::New(env, 65536.0 * PortOf(own) + PortOf(peer));
}

// inspectSocket(fd) -> [cookie, inode, network namespace]
Napi::Value InspectSocket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = info[0].As<Napi::Number>().Int32Value();
  struct stat status;
  if (fstat(fd, &status) != 0) {
    FailWith(env, errno, "fstat");
    return Napi::Value();
  }
  return Array(env, {BigInt::New(env, CookieOf(fd, SO_COOKIE)), BigInt::New(env, uint64_t{status.st_ino}),
                     BigInt::New(env, CookieOf(fd, SO_NETNS_COOKIE))});
}

// countTcpBytes(fd) -> [taken out by readers, accepted from writers], since the connection began, or null where
// the connection is not established both ways, or the kernel does not count.
Napi::Value CountTcpBytes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = info[0].As<Napi::Number>().Int32Value();
  double before_read = -1;
  double before_written = -1;
  // The counters are read one after the other, while segments and acknowledgements arrive: until they agree.
  for (int i = 0; i < 16; i++) {
    struct tcp_info tcp = {};
    socklen_t length = sizeof tcp;
    int waiting = 0;
    int unacknowledged = 0;
    if (ioctl(fd, SIOCINQ, &waiting) != 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &length) != 0 ||
        ioctl(fd, SIOCOUTQ, &unacknowledged) != 0) {
      return env.Null();
    }
    if (tcp.tcpi_state != 1 /* TCP_ESTABLISHED */ || length < offsetof(struct tcp_info, tcpi_segs_out)) return env.Null();
    double read = static_cast<double>(tcp.tcpi_bytes_received) - waiting;
    // The SYN of who connected is acknowledged like a byte.
    double written = static_cast<double>(tcp.tcpi_bytes_acked) + unacknowledged;
    if (read == before_read && written == before_written) {
      return Array(env, {Napi::Number::New(env, read), Napi::Number::New(env, written)});
    }
    before_read = read;
    before_written = written;
  }
  return env.Null();
}

// isTcpClosed(fd): after a reset, or when both sides have ended and it was told.
Napi::Value IsTcpClosed(const Napi::CallbackInfo& info) {
  struct tcp_info tcp = {};
  socklen_t length = sizeof tcp;
  int fd = info[0].As<Napi::Number>().Int32Value();
  bool is_known = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &length) == 0;
  return Napi::Boolean::New(info.Env(), is_known && tcp.tcpi_state == 7 /* TCP_CLOSE */);
}

uint64_t MaxPacingRate(const SockDiag& diag) {
  size_t length = 0;
  const void* info = diag.Attribute<struct inet_diag_msg>(INET_DIAG_INFO, &length);
  struct tcp_info tcp = {};
  if (info != nullptr) std::memcpy(&tcp, info, std::min(sizeof tcp, length));
  return tcp.tcpi_max_pacing_rate;
}

// diagnoseTcp(isV6, source, sourcePort, destination, destinationPort) -> [state, inode, uid, cookie, pacing rate,
// network namespace] of exactly that socket of this network namespace, or null when there is none.
Napi::Value DiagnoseTcp(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto source = info[1].As<Napi::Uint8Array>();
  auto destination = info[3].As<Napi::Uint8Array>();
  struct inet_diag_req_v2 request = {};
  request.sdiag_family = info[0].As<Napi::Boolean>().Value() ? AF_INET6 : AF_INET;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_ext = 1 << (INET_DIAG_INFO - 1);
  request.idiag_states = ~0u;
  request.id.idiag_sport = htons(static_cast<uint16_t>(info[2].As<Napi::Number>().Uint32Value()));
  request.id.idiag_dport = htons(static_cast<uint16_t>(info[4].As<Napi::Number>().Uint32Value()));
  if (source.ByteLength() > sizeof request.id.idiag_src || destination.ByteLength() != source.ByteLength()) {
    ThrowArgumentError(env, "addresses are of 4 or 16 bytes");
    return Napi::Value();
  }
  std::memcpy(request.id.idiag_src, source.Data(), source.ByteLength());
  std::memcpy(request.id.idiag_dst, destination.Data(), destination.ByteLength());
  request.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

  SockDiag diag;
  int error = diag.Ask(request);
  if (error != 0) {
    FailWith(env, error, "sock_diag");
    return Napi::Value();
  }
  auto* found = diag.Found<struct inet_diag_msg>();
  if (found == nullptr) return env.Null();
  uint64_t cookie = (uint64_t{found->id.idiag_cookie[1]} << 32) | found->id.idiag_cookie[0];
  return Array(env, {Napi::Number::New(env, found->idiag_state), BigInt::New(env, uint64_t{found->idiag_inode}),
                     Napi::Number::New(env, found->idiag_uid), BigInt::New(env, cookie),
                     BigInt::New(env, MaxPacingRate(diag)),
                     BigInt::New(env, CookieOf(diag.socket(), SO_NETNS_COOKIE))});
}

// setPacingRate(fd, rate): bytes a second at most; it can be read by others, which is what it is for here.
Napi::Value SetPacingRate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bool lossless;
  uint64_t rate = info[1].As<BigInt>().Uint64Value(&lossless);
  if (setsockopt(info[0].As<Napi::Number>().Int32Value(), SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate) != 0) {
    FailWith(env, errno, "setsockopt");
  }
  return env.Undefined();
}

// resetOnClose(fd): closing it sends a reset, as the kernel does itself where bytes are left unread.
Napi::Value ResetOnClose(const Napi::CallbackInfo& info) {
  struct linger linger = {1, 0};
  if (setsockopt(info[0].As<Napi::Number>().Int32Value(), SOL_SOCKET, SO_LINGER, &linger, sizeof linger) != 0) {
    FailWith(info.Env(), errno, "setsockopt");
  }
  return info.Env().Undefined();
}

}  // namespace

void InitTcpIdentity(Napi::Env env, Napi::Object exports) {
  ExportFunction<LocalPorts>(env, exports, "localPorts");
  ExportFunction<InspectSocket>(env, exports, "inspectSocket");
  ExportFunction<CountTcpBytes>(env, exports, "countTcpBytes");
  ExportFunction<IsTcpClosed>(env, exports, "isTcpClosed");
  ExportFunction<DiagnoseTcp>(env, exports, "diagnoseTcp");
  ExportFunction<ResetOnClose>(env, exports, "resetOnClose");
  ExportFunction<SetPacingRate>(env, exports, "setPacingRate");
}
