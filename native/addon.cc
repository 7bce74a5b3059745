#include <napi.h>

#include "block_pool.h"
#include "copy.h"
#include "deferral.h"
#include "descriptor.h"
#include "doorbell.h"
#include "file_lock.h"
#include "futex.h"
#include "idle.h"
#include "instance.h"
#include "memory.h"
#include "poll.h"
#include "tcp_identity.h"
#include "unix_socket.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance(env));
  Descriptor::Init(env, exports);
  Deferral::Init(env, exports);
  Idle::Init(env, exports);
  Poll::Init(env, exports);
  InitBlockPool(env, exports);
  InitCopy(env, exports);
  InitDoorbell(env, exports);
  InitFileLock(env, exports);
  InitFutex(env, exports);
  InitMemory(env, exports);
  InitTcpIdentity(env, exports);
  InitUnixSocket(env, exports);
  return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
