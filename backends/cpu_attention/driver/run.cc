// Work is cut into items (batch, query head, block of query rows) and handed out by a counter:
// whoever is free takes the next. Blocks of one head follow each other, so its keys and values stay
// in cache; with a causal mask the late rows, which cost most, come first, and what is left for the
// end is light.
#include "driver/run.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace backendctx::cpu_attention {

ScratchPool::~ScratchPool() {
  for (float* piece : free_) std::free(piece);
}

float* ScratchPool::Take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      float* piece = free_.back();
      free_.pop_back();
      return piece;
    }
    // Room for this piece when it comes back, so that Give cannot fail.
    try {
      free_.reserve(free_.capacity() + 1);
    } catch (...) {
      return nullptr;
    }
  }
  return static_cast<float*>(std::aligned_alloc(64, bytes_));
}

void ScratchPool::Give(float* piece) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(piece);
}

namespace {

// Multiply-adds below which another thread costs more than it brings (about 10 microseconds of
// work on one core).
constexpr double kWorkPerThread = 1 << 19;

struct Job {
  Kernel* kernel;
  const Call* call;
  int64_t block;   // rows of one item
  int64_t blocks;  // items of one head
  int64_t items;
  std::atomic<int64_t> next{0};
  std::atomic<bool> no_memory{false};
};

void RunItem(const Job& job, int64_t item, float* scratch) {
  const Call& call = *job.call;
  const KernelTable& table = job.kernel->table;
  const int64_t pair = item / job.blocks;
  int64_t block = item % job.blocks;
  if (table.causal != 0) block = job.blocks - 1 - block;
  const int64_t b = pair / call.q_heads, h = pair % call.q_heads;
  const int64_t kv = h / (call.q_heads / call.kv_heads);
  const int64_t row = block * job.block;
  auto at = [b](const View& view, int64_t head, int64_t first) {
    return reinterpret_cast<float*>(view.data) + b * view.batch + head * view.head +
           first * view.sequence;
  };
  KernelArgs args{};
  args.q = at(call.q, h, row);
  args.k = at(call.k, kv, 0);
  args.v = at(call.v, kv, 0);
  args.y = at(call.y, h, row);
  args.q_stride = call.q.sequence;
  args.q_channel = call.q.channel;
  args.k_stride = call.k.sequence;
  args.k_channel = call.k.channel;
  args.v_stride = call.v.sequence;
  args.v_channel = call.v.channel;
  args.y_stride = call.y.sequence;
  args.y_channel = call.y.channel;
  args.rows = std::min(job.block, call.queries - row);
  args.keys = call.keys;
  args.causal = row;
  for (int i = 0; i < table.mask_count; ++i) {
    const MaskView& mask = call.masks[i];
    const int64_t element = b * mask.batch + h * mask.head + row * mask.query;
    args.masks[i] = {mask.data + element * mask.element_bytes, mask.query, mask.key};
  }
  job.kernel->code->kernel()(&args, scratch);
}

void Work(void* argument, size_t) {
  Job& job = *static_cast<Job*>(argument);
  int64_t item = job.next.fetch_add(1, std::memory_order_relaxed);
  if (item >= job.items) return;
  float* scratch = job.kernel->scratch.Take();
  if (scratch == nullptr) {
    job.no_memory.store(true, std::memory_order_relaxed);
    return;
  }
  while (item < job.items) {
    RunItem(job, item, scratch);
    item = job.next.fetch_add(1, std::memory_order_relaxed);
  }
  job.kernel->scratch.Give(scratch);
}

// Large items reuse each block of keys most; smaller ones where there would be too few to share.
void CutItems(const KernelTable& table, const Call& call, int64_t threads, Job* job) {
  const int64_t tiles = (call.queries + table.q_tile - 1) / table.q_tile;
  const int64_t pairs = call.batch * call.q_heads;
  int64_t per_item = std::min<int64_t>(tiles, table.q_tiles);
  if (threads > 1) {
    const int64_t wanted = (threads * 4 + pairs - 1) / pairs;  // items of one head
    per_item = std::clamp<int64_t>((tiles + wanted - 1) / wanted, 1, per_item);
  }
  // Equal blocks rather than full ones and a rest.
  job->blocks = (tiles + per_item - 1) / per_item;
  job->block = (tiles + job->blocks - 1) / job->blocks * table.q_tile;
  job->blocks = (call.queries + job->block - 1) / job->block;
  job->items = pairs * job->blocks;
}

int64_t ThreadsWorthwhile(const KernelTable& table, const Call& call, size_t threads) {
  const double work = static_cast<double>(call.batch) * static_cast<double>(call.q_heads) *
                      static_cast<double>(call.queries) * static_cast<double>(call.keys) *
                      (table.qk_head_size + table.v_head_size) / (table.causal != 0 ? 2 : 1);
  const double most = std::min(work / kWorkPerThread, 4096.0);
  return std::clamp<int64_t>(static_cast<int64_t>(most), 1,
                             std::max<int64_t>(1, static_cast<int64_t>(threads)));
}

}  // namespace

Outcome Run(Kernel& kernel, bctx_run* run) {
  const KernelTable& table = kernel.table;
  Call call;
  BCTX_RETURN_UNLESS_OK(ReadShapes(table, *run, &call));
  void* y = run->output(run, static_cast<size_t>(table.y.index), call.y_dims, table.y.rank);
  const int64_t rows = call.batch * call.q_heads * call.queries;
  if (rows == 0) return {};
  if (y == nullptr) return {BCTX_INTERNAL, "the host has no memory for the output"};
  call.y.data = static_cast<char*>(y);
  if (call.keys == 0) {  // an empty sum
    std::memset(y, 0, static_cast<size_t>(rows) * static_cast<size_t>(table.v_head_size) * 4);
    return {};
  }
  const int64_t threads =
      run->parallel == nullptr ? 1 : ThreadsWorthwhile(table, call, run->threads);
  Job job{&kernel, &call, 0, 0, 0, {}, {}};
  CutItems(table, call, threads, &job);
  const int64_t workers = std::min(threads, job.items);
  if (workers <= 1) {
    Work(&job, 0);
  } else {
    run->parallel(run, static_cast<size_t>(workers), Work, &job);
  }
  // A worker without memory leaves its item undone.
  if (job.no_memory.load(std::memory_order_relaxed)) {
    return {BCTX_INTERNAL, "no memory for scratch"};
  }
  return {};
}

}  // namespace backendctx::cpu_attention
