#include "poll.h"

#include "descriptor.h"
#include "error.h"

void Poll::Init(Napi::Env env, Napi::Object exports) {
  Napi::Function constructor = DefineClass(
      env, "Poll",
      {InstanceMethod<&Poll::Start>("start"), InstanceMethod<&Poll::Stop>("stop"),
       InstanceMethod<&Poll::RefLoop>("ref"), InstanceMethod<&Poll::UnrefLoop>("unref"),
       InstanceMethod<&Poll::Close>("close")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Poll", constructor, napi_enumerable));
}

// new Poll(descriptor, callback)
Poll::Poll(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Poll>(info) {
  Napi::Env env = info.Env();
  // Looked up once: a worker that is being terminated may be told no at any later time.
  std::shared_ptr<FileDescriptor> descriptor = Descriptor::Share(info[0]);
  if (descriptor == nullptr) return;
  auto init = [&](uv_loop_t* loop, uv_poll_t* poll) { return uv_poll_init(loop, poll, descriptor->get()); };
  if (!handle_.Open(env, this, "uv_poll_init", descriptor, init)) return;
  callback_ = Napi::Persistent(info[1].As<Napi::Function>());
  context_ = std::make_unique<Napi::AsyncContext>(env, "SHMLOOP");
  Ref();  // libuv holds it: it is collected only after close().
}

// start(writable): also calls back when it is writable, if asked.
void Poll::Start(const Napi::CallbackInfo& info) {
  if (handle_.get() == nullptr) return;
  int events = UV_READABLE | UV_DISCONNECT;
  if (info[0].ToBoolean().UnwrapOr(Napi::Boolean::New(info.Env(), false)).Value()) events |= UV_WRITABLE;
  int status = uv_poll_start(handle_.get(), events, [](uv_poll_t* poll, int, int) {
    LoopHandle<uv_poll_t, Poll>::OwnerOf(poll)->OnEvents();
  });
  if (status != 0) ThrowSystemError(info.Env(), -status, "uv_poll_start");
}

void Poll::Stop(const Napi::CallbackInfo&) {
  if (handle_.get() != nullptr) uv_poll_stop(handle_.get());
}

void Poll::RefLoop(const Napi::CallbackInfo&) {
  if (handle_.get() != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(handle_.get()));
}

void Poll::UnrefLoop(const Napi::CallbackInfo&) {
  if (handle_.get() != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(handle_.get()));
}

void Poll::Close(const Napi::CallbackInfo&) {
  if (handle_.get() == nullptr) return;
  handle_.Close();
  // The callback's closure may hold this object: it would hold itself for ever.
  callback_.Reset();
  Unref();
}

void Poll::OnEvents() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value result;
  ReportUncaught(env, napi_make_callback(env, *context_, Value(), callback_.Value(), 0, nullptr, &result));
}
