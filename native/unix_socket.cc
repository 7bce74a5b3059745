#include "unix_socket.h"

#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "descriptor.h"
#include "error.h"
#include "exports.h"
#include "sock_diag.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59  // Linux 4.13
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83  // Linux 6.16
#endif

namespace {

constexpr size_t kMaxDescriptors = 4;
// SCM_MAX_FD: the kernel's own bound. What there is no room for it closes itself, on this thread.
constexpr size_t kMostDescriptors = 253;

// A path, or an abstract name, which starts with a zero byte and is as long as it is. Returns the length of the
// address, or 0 with an exception pending.
socklen_t MakeAddress(const Napi::CallbackInfo& info, struct sockaddr_un* address) {
  std::string path = info[0].As<Napi::String>();
  std::memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof address->sun_path) {
    FailWith(info.Env(), ENAMETOOLONG, "socket");
    return 0;
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  bool is_abstract = path[0] == '\0';
  return is_abstract ? static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size()) : sizeof *address;
}

// Descriptors are taken only once the peer's credentials passed. Kernels
// without the option (before 6.16) ignore this.
void AllowRights(int fd, int allowed) { setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &allowed, sizeof allowed); }

int OpenSocket(Napi::Env env) {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    FailWith(env, errno, "socket");
    return -1;
  }
  AllowRights(fd, 0);
  return fd;
}

Napi::Value Fail(Napi::Env env, int fd, const char* syscall) {
  int error = errno;
  close(fd);
  FailWith(env, error, syscall);
  return Napi::Value();
}

// listenUnix(path, backlog)
Napi::Value ListenUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  struct sockaddr_un address;
  socklen_t length = MakeAddress(info, &address);
  if (length == 0) return Napi::Value();
  int fd = OpenSocket(env);
  if (fd < 0) return Napi::Value();
  if (bind(fd, reinterpret_cast<struct sockaddr*>(&address), length) != 0) return Fail(env, fd, "bind");
  if (listen(fd, info[1].As<Napi::Number>().Int32Value()) != 0) return Fail(env, fd, "listen");
  return Descriptor::New(env, fd, Origin::kListener);
}

// connectUnix(path): never waits; EAGAIN when the listener's backlog is full.
Napi::Value ConnectUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  struct sockaddr_un address;
  socklen_t length = MakeAddress(info, &address);
  if (length == 0) return Napi::Value();
  int fd = OpenSocket(env);
  if (fd < 0) return Napi::Value();
  if (connect(fd, reinterpret_cast<struct sockaddr*>(&address), length) != 0) return Fail(env, fd, "connect");
  return Descriptor::New(env, fd, Origin::kSocket);
}

// acceptUnix(listener) -> Descriptor, or null when nobody waits.
Napi::Value AcceptUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int listener = Descriptor::Get(info[0]);
  if (listener < 0) return Napi::Value();
  int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) return Descriptor::New(env, fd, Origin::kSocket);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR) return env.Null();
  FailWith(env, errno, "accept");
  return Napi::Value();
}

// allowDescriptors(socket): from now on the peer may pass descriptors.
Napi::Value AllowDescriptors(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd >= 0) AllowRights(fd, 1);
  return info.Env().Undefined();
}

// peerCredentials(socket) -> [pid, uid, gid] as of connect() or listen().
Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    FailWith(env, errno, "getsockopt");
    return Napi::Value();
  }
  Napi::Array result = Napi::Array::New(env, 3);
  result.Set(0u, Napi::Number::New(env, credentials.pid));
  result.Set(1u, Napi::Number::New(env, credentials.uid));
  result.Set(2u, Napi::Number::New(env, credentials.gid));
  return result;
}

// peerGroups(socket) -> its supplementary groups, as of then.
Napi::Value PeerGroups(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  socklen_t length = 0;
  // Asked for the length first: it fails with ERANGE and says how long the list is.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length) != 0 && errno != ERANGE) {
    FailWith(env, errno, "getsockopt");
    return Napi::Value();
  }
  std::vector<gid_t> groups(length / sizeof(gid_t));
  if (!groups.empty() && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) {
    FailWith(env, errno, "getsockopt");
    return Napi::Value();
  }
  Napi::Array result = Napi::Array::New(env, groups.size());
  for (size_t i = 0; i < groups.size(); i++) {
    result.Set(static_cast<uint32_t>(i), Napi::Number::New(env, groups[i]));
  }
  return result;
}

// socketInodes(socket) -> [its own inode, that of its other end], by the kernel's word; null where it does not tell.
Napi::Value SocketInodes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  struct stat status;
  if (fstat(fd, &status) != 0) return env.Null();
  struct unix_diag_req request = {};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_ino = static_cast<uint32_t>(status.st_ino);
  request.udiag_cookie[0] = request.udiag_cookie[1] = ~0u;
  request.udiag_show = UDIAG_SHOW_PEER;
  SockDiag diag;
  if (diag.Ask(request) != 0 || diag.Found<struct unix_diag_msg>() == nullptr) return env.Null();
  size_t length = 0;
  const void* attribute = diag.Attribute<struct unix_diag_msg>(UNIX_DIAG_PEER, &length);
  uint32_t peer;
  if (attribute == nullptr || length < sizeof peer) return env.Null();
  std::memcpy(&peer, attribute, sizeof peer);
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, Napi::Number::New(env, static_cast<double>(status.st_ino)));
  result.Set(1u, Napi::Number::New(env, peer));
  return result;
}

// sendMessage(socket, bytes, descriptors) -> false when it would block.
Napi::Value SendMessage(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  auto bytes = info[1].As<Napi::Uint8Array>();
  auto passed = info[2].As<Napi::Array>();
  if (passed.Length() > kMaxDescriptors) {
    ThrowArgumentError(env, "too many descriptors");
    return Napi::Value();
  }
  int numbers[kMaxDescriptors];
  size_t count = passed.Length();
  for (size_t i = 0; i < count; i++) {
    Napi::MaybeOrValue<Napi::Value> item = passed.Get(static_cast<uint32_t>(i));
    if (item.IsNothing()) return Napi::Value();
    numbers[i] = Descriptor::Get(item.Unwrap());
    if (numbers[i] < 0) return Napi::Value();
  }
  struct iovec part = {bytes.Data(), bytes.ByteLength()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof numbers)] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), numbers, count * sizeof(int));
  }
  if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return Napi::Boolean::New(env, true);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Napi::Boolean::New(env, false);
  FailWith(env, errno, "sendmsg");
  return Napi::Value();
}

std::vector<int> TakeDescriptors(struct msghdr* message) {
  std::vector<int> taken;
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      taken.push_back(fd);
    }
  }
  return taken;
}

// receiveMessage(socket, buffer) -> [length, descriptor...], or null when there
// is none. Length 0 is the end. A message larger than the buffer or with more
// descriptors than the protocol has is EMSGSIZE, and all of it is dropped. A
// negative length says that descriptors came along, and are lost for want of
// numbers for them (EMFILE).
Napi::Value ReceiveMessage(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  auto buffer = info[1].As<Napi::Uint8Array>();
  struct iovec part = {buffer.Data(), buffer.ByteLength()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (length < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return env.Null();
    FailWith(env, errno, "recvmsg");
    return Napi::Value();
  }
  std::vector<int> taken = TakeDescriptors(&message);
  bool is_too_large = (message.msg_flags & MSG_TRUNC) != 0 || taken.size() > kMaxDescriptors;
  if (is_too_large || (message.msg_flags & MSG_CTRUNC) != 0) {
    for (int number : taken) CloseDescriptor(number, Origin::kPeer);
    if (is_too_large) {
      FailWith(env, EMSGSIZE, "recvmsg");
      return Napi::Value();
    }
    // There is room for all that may come: this process has no number left.
    taken.clear();
    length = -length;
  }
  Napi::Array result = Napi::Array::New(env, 1 + taken.size());
  result.Set(0u, Napi::Number::New(env, static_cast<double>(length)));
  for (size_t i = 0; i < taken.size(); i++) {
    Napi::Value descriptor = Descriptor::New(env, taken[i], Origin::kPeer);
    if (!descriptor.IsEmpty()) result.Set(static_cast<uint32_t>(i + 1), descriptor);
  }
  return result;
}

}  // namespace

void InitUnixSocket(Napi::Env env, Napi::Object exports) {
  ExportFunction<ListenUnix>(env, exports, "listenUnix");
  ExportFunction<ConnectUnix>(env, exports, "connectUnix");
  ExportFunction<AcceptUnix>(env, exports, "acceptUnix");
  ExportFunction<AllowDescriptors>(env, exports, "allowDescriptors");
  ExportFunction<PeerCredentials>(env, exports, "peerCredentials");
  ExportFunction<PeerGroups>(env, exports, "peerGroups");
  ExportFunction<SocketInodes>(env, exports, "socketInodes");
  ExportFunction<SendMessage>(env, exports, "sendMessage");
  ExportFunction<ReceiveMessage>(env, exports, "receiveMessage");
}
