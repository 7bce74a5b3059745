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
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
    ThrowArgumentError(env, "this environment has no event loop");
    return;
  }
  auto handle = std::make_unique<Handle>();
  int status = uv_poll_init(loop, &handle->poll, descriptor->get());
  if (status != 0) {
    ThrowSystemError(env, -status, "uv_poll_init");
    return;
  }
  handle_ = handle.release();
  handle_->poll.data = handle_;
  handle_->descriptor = std::move(descriptor);
  handle_->owner = this;
  napi_add_async_cleanup_hook(env, OnEnvironmentEnds, handle_, &handle_->hook);
  callback_ = Napi::Persistent(info[1].As<Napi::Function>());
  context_ = std::make_unique<Napi::AsyncContext>(env, "SHMLOOP");
  Ref();  // libuv holds it: it is collected only after close().
}

Poll::~Poll() { CloseHandle(); }

// start(writable): also calls back when it is writable, if asked.
void Poll::Start(const Napi::CallbackInfo& info) {
  if (handle_ == nullptr) return;
  int events = UV_READABLE | UV_DISCONNECT;
  if (info[0].ToBoolean().UnwrapOr(Napi::Boolean::New(info.Env(), false)).Value()) events |= UV_WRITABLE;
  int status = uv_poll_start(&handle_->poll, events, [](uv_poll_t* poll, int, int) {
    static_cast<Handle*>(poll->data)->owner->OnEvents();
  });
  if (status != 0) ThrowSystemError(info.Env(), -status, "uv_poll_start");
}

void Poll::Stop(const Napi::CallbackInfo&) {
  if (handle_ != nullptr) uv_poll_stop(&handle_->poll);
}

void Poll::RefLoop(const Napi::CallbackInfo&) {
  if (handle_ != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(&handle_->poll));
}

void Poll::UnrefLoop(const Napi::CallbackInfo&) {
  if (handle_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->poll));
}

void Poll::Close(const Napi::CallbackInfo&) {
  if (handle_ == nullptr) return;
  CloseHandle();
  // The callback's closure may hold this object: it would hold itself for ever.
  callback_.Reset();
  Unref();
}

void Poll::CloseHandle() {
  if (handle_ == nullptr) return;
  Handle* handle = handle_;
  handle_ = nullptr;
  handle->owner = nullptr;
  uv_poll_stop(&handle->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), [](uv_handle_t* closed) {
    auto* handle = static_cast<Handle*>(closed->data);
    napi_remove_async_cleanup_hook(handle->hook);
    delete handle;
  });
}

void Poll::OnEnvironmentEnds(napi_async_cleanup_hook_handle, void* data) {
  // Already closing: the close callback removes the hook.
  Poll* owner = static_cast<Handle*>(data)->owner;
  if (owner != nullptr) owner->CloseHandle();
}

void Poll::OnEvents() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value result;
  napi_status status = napi_make_callback(env, *context_, Value(), callback_.Value(), 0, nullptr, &result);
  if (status != napi_pending_exception) return;
  napi_value exception;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}
