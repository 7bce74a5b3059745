#include "closing.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <mutex>

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif

namespace {

// What a link passes is never larger: freeing the pages of more may take a while.
constexpr off_t kQuickFile = 1 << 27;

// Closes descriptors one after the other, on a thread that is there while there are any. Not on libuv's pool: a
// few that take seconds would hold up the program's files, and an environment that ends would wait for them.
class Closer {
 public:
  // One for the process, and never destroyed: the thread may be at work when the process exits.
  static Closer& Get() {
    static Closer* closer = new Closer();
    return *closer;
  }

  void Close(int fd) {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(fd);
    if (is_running_) return;
    is_running_ = StartThread();
    if (is_running_) return;
    // No thread to be had: late is better than never.
    waiting_.pop_back();
    close(fd);
  }

 private:
  Closer() {
    // This code stays when the last environment that uses it is gone: the thread may still run it.
    Dl_info info;
    if (dladdr(reinterpret_cast<void*>(&CloseDescriptor), &info) != 0) {
      dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
  }

  bool StartThread() {
    // Signals are for the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    auto run = [](void* closer) -> void* {
      static_cast<Closer*>(closer)->CloseAll();
      return nullptr;
    };
    bool is_started = pthread_create(&thread, nullptr, run, this) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (is_started) pthread_detach(thread);
    return is_started;
  }

  void CloseAll() {
    for (;;) {
      int fd;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (waiting_.empty()) {
          is_running_ = false;
          return;
        }
        fd = waiting_.front();
        waiting_.pop_front();
      }
      // A socket then closes at once, unless the peer is quick to turn it on again. No honest one passes sockets.
      struct linger off = {0, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
      close(fd);
    }
  }

  std::mutex mutex_;
  std::deque<int> waiting_;
  bool is_running_ = false;
};

// A pipe, or a sealable file that is not huge, by calls that ask nobody: a file of a FUSE file system asks its peer.
bool IsQuick(int fd) {
  if (fcntl(fd, F_GETPIPE_SZ) >= 0) return true;
  struct stat status;
  return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &status) == 0 && status.st_size <= kQuickFile;
}

// Messages that are looked at before a socket is closed: an honest peer has few of them unread.
constexpr int kMostLooks = 1024;

// Whether descriptors wait that nobody will take. Of each message that waits there are credentials, for which there is
// room, and descriptors, for which there is none; of the end there is neither.
bool HasQueuedDescriptors(int fd) {
  int on = 1, start = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return true;
  if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof start) != 0) return true;
  for (int i = 0; i < kMostLooks; i++) {
    char bytes[1024];
    struct iovec part = {bytes, sizeof bytes};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) < 0) {
      // The error that a peer has left comes once, before what it has queued.
      if (errno == ECONNRESET || errno == EINTR) continue;
      return false;
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) return true;
    if (message.msg_controllen == 0) return false;
  }
  return true;
}

// Closes the connections that wait. Whether that was all of them: it takes a number for each.
bool CloseAccepted(int listener) {
  int fd;
  while ((fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0) CloseDescriptor(fd, Origin::kSocket);
  return errno == EAGAIN || errno == EINVAL;
}

bool CanCloseHere(int fd, Origin origin) {
  switch (origin) {
    case Origin::kOwn:
      return true;
    case Origin::kPeer:
      return IsQuick(fd);
    case Origin::kSocket:
      // The peer hears of it at once, and queues no more.
      shutdown(fd, SHUT_RDWR);
      return !HasQueuedDescriptors(fd);
    case Origin::kListener:
      shutdown(fd, SHUT_RDWR);
      return CloseAccepted(fd);
  }
  return false;
}

}  // namespace

void CloseDescriptor(int fd, Origin origin) {
  if (CanCloseHere(fd, origin)) {
    close(fd);
  } else {
    Closer::Get().Close(fd);
  }
}
