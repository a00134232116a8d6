## create

# asks for the machines; the request waits 6 hours at most
# makes the request fjdl-mnist-qr, which holds its quota until it is deleted, billed once ACTIVE
# undone by: gcloud compute tpus queued-resources delete fjdl-mnist-qr --project=my-project --zone=us-central1-b --force --quiet
# lost with it: the machines' disks; a minute or two
gcloud alpha compute tpus queued-resources create fjdl-mnist-qr --node-id=fjdl-mnist --project=my-project \
  --zone=us-central1-b --accelerator-type=v6e-8 --runtime-version=v2-alpha-tpuv6e \
  --provisioning-model=flex-start --max-run-duration=24h --valid-until-duration=6h --internal-ips

# waits for the machines
# repeated every 30 s until it prints ACTIVE; SUSPENDED or FAILED or SUSPENDING or DELETING ends the waiting
gcloud compute tpus queued-resources describe fjdl-mnist-qr --project=my-project --zone=us-central1-b \
  '--format=value(state.state)'

# counts the machines
# must print 1, otherwise the slice is not the one of 1 host that was planned
gcloud compute tpus tpu-vm describe fjdl-mnist --project=my-project --zone=us-central1-b \
  '--format=value(networkEndpoints.len())'


## sync

# makes the folder for the code's file
mkdir -p build

# packs the code, HEAD at 0123456789ab
git bundle create -q build/fjdl-mnist.bundle HEAD

# makes the ssh key, and waits until every machine takes it
# tried every 30 s until it succeeds, 10 times at most
gcloud alpha compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-central1-b --tunnel-through-iap \
  --worker=all --command=true

# copies the code to every machine
gcloud alpha compute tpus tpu-vm scp build/fjdl-mnist.bundle fjdl-mnist:fjdl-mnist.bundle --project=my-project \
  --zone=us-central1-b --tunnel-through-iap --worker=all

# installs Python, the code and what it needs on every machine
gcloud alpha compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-central1-b --tunnel-through-iap \
  --worker=all '--command=set -eu
command -v git > /dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq git; }
[ -x "$HOME/.local/bin/uv" ] || curl -LsSf https://astral.sh/uv/install.sh | sh
[ -d "$HOME/fjdl" ] || git clone -q "$HOME/fjdl-mnist.bundle" "$HOME/fjdl"
git -C "$HOME/fjdl" fetch -q "$HOME/fjdl-mnist.bundle" HEAD
git -C "$HOME/fjdl" checkout -q --detach 0123456789abcdef0123456789abcdef01234567
[ -d "$HOME/venv" ] || "$HOME/.local/bin/uv" venv -q --python 3.12 "$HOME/venv"
VIRTUAL_ENV="$HOME/venv" "$HOME/.local/bin/uv" pip install -q -e "$HOME/fjdl[tpu]"'


## run

# starts the training on every machine; log: fjdl-logs/fjdl-mnist.log
gcloud alpha compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-central1-b --tunnel-through-iap \
  --worker=all '--command=set -eu
mkdir -p "$HOME/fjdl-logs"
flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" true || { echo fjdl-mnist is running already >&2; exit 1; }
cd "$HOME/fjdl"
. "$HOME/venv/bin/activate"
export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"
nohup setsid flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist >> "$HOME/fjdl-logs/fjdl-mnist.log" 2>&1 < /dev/null &
echo started fjdl-mnist'


## logs

# follows the log of machine 0; ctrl-c ends only that
gcloud alpha compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-central1-b --tunnel-through-iap \
  --worker=0 '--command=tail -n 50 -F "$HOME/fjdl-logs/fjdl-mnist.log"'


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist/logs

# copies the run
gcloud alpha compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl/runs/fjdl-mnist runs --project=my-project \
  --zone=us-central1-b --tunnel-through-iap --worker=0

# copies the log of machine 0
gcloud alpha compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/0.log \
  --project=my-project --zone=us-central1-b --tunnel-through-iap --worker=0


## delete

# deletes the request and its machines with their disks
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute tpus queued-resources delete fjdl-mnist-qr --project=my-project --zone=us-central1-b --force \
  --quiet

# looks whether the request is gone
# must print nothing, otherwise the request is still there and holds its quota
gcloud compute tpus queued-resources list --project=my-project --zone=us-central1-b \
  '--filter=name~/fjdl-mnist-qr$' '--format=value(name)'

# looks whether the machines are gone
# must print nothing, otherwise the machines are still there and are billed
gcloud compute tpus tpu-vm list --project=my-project --zone=us-central1-b '--filter=name~/fjdl-mnist$' \
  '--format=value(name)'
