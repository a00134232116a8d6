## create

# asks for the machines; the request waits 6 hours at most
# makes the request fjdl-mnist-qr, which holds its quota until it is deleted, billed once ACTIVE
# undone by: gcloud compute tpus queued-resources delete fjdl-mnist-qr --project=my-project --zone=us-west4-a --force --quiet
# lost with it: the machines' disks; a minute or two
gcloud compute tpus queued-resources create fjdl-mnist-qr --node-id=fjdl-mnist --project=my-project \
  --zone=us-west4-a --accelerator-type=v5litepod-16 --runtime-version=v2-alpha-tpuv5-lite --network=tpus \
  --subnetwork=tpus-west4 \
  --data-disk=source=projects/my-project/zones/us-west4-a/disks/imagenet,mode=read-only --spot \
  --valid-until-duration=6h

# waits for the machines
# repeated every 30 s until it prints ACTIVE; SUSPENDED or FAILED or SUSPENDING or DELETING ends the waiting
gcloud compute tpus queued-resources describe fjdl-mnist-qr --project=my-project --zone=us-west4-a \
  '--format=value(state.state)'

# counts the machines
# must print 4, otherwise the slice is not the one of 4 hosts that was planned
gcloud compute tpus tpu-vm describe fjdl-mnist --project=my-project --zone=us-west4-a \
  '--format=value(networkEndpoints.len())'


## sync

# makes the folder for the code's file
mkdir -p build

# packs the code, HEAD at 0123456789ab
git bundle create -q build/fjdl-mnist.bundle HEAD

# makes the ssh key, and waits until every machine takes it
# tried every 30 s until it succeeds, 10 times at most
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all --command=true

# copies the code to every machine
gcloud compute tpus tpu-vm scp build/fjdl-mnist.bundle fjdl-mnist:fjdl-mnist.bundle --project=my-project \
  --zone=us-west4-a --worker=all

# installs Python, the code and what it needs on every machine
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all \
  '--command=set -eu
if ! mountpoint -q /mnt/data; then
  disk=$(lsblk -rnpo NAME,FSTYPE,MOUNTPOINT | awk '"'"'$2 == "ext4" && NF == 2 { print $1 }'"'"')
  [ "$(echo "$disk" | wc -w)" = 1 ] || { echo "one disk must be free to be mounted, got: $disk" >&2; exit 1; }
  sudo mkdir -p /mnt/data && sudo mount -o ro,noload "$disk" /mnt/data
fi
command -v git > /dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq git; }
[ -x "$HOME/.local/bin/uv" ] || curl -LsSf https://astral.sh/uv/install.sh | sh
[ -d "$HOME/fjdl" ] || git clone -q "$HOME/fjdl-mnist.bundle" "$HOME/fjdl"
git -C "$HOME/fjdl" fetch -q "$HOME/fjdl-mnist.bundle" HEAD
git -C "$HOME/fjdl" checkout -q --detach 0123456789abcdef0123456789abcdef01234567
[ -d "$HOME/venv" ] || "$HOME/.local/bin/uv" venv -q --python 3.12 "$HOME/venv"
VIRTUAL_ENV="$HOME/venv" "$HOME/.local/bin/uv" pip install -q -e "$HOME/fjdl[tpu]"'


## run

# copies the secrets to every machine
# SECRETS_FILE is a private file with the values of WANDB_API_KEY; it is removed afterwards and never printed
gcloud compute tpus tpu-vm scp SECRETS_FILE fjdl-mnist:.fjdl-mnist.env --project=my-project --zone=us-west4-a \
  --worker=all

# starts the training on every machine; log: fjdl-logs/fjdl-mnist.log
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=all \
  '--command=set -eu
mkdir -p "$HOME/fjdl-logs"
flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" true || { echo fjdl-mnist is running already >&2; exit 1; }
cd "$HOME/fjdl"
. "$HOME/venv/bin/activate"
set -a; . "$HOME/.fjdl-mnist.env"; set +a
export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"
export FJDL_DATA_DIR="/mnt/data"
nohup setsid flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --bucket gs://my-runs/runs/fjdl-mnist --precision bfloat16 >> "$HOME/fjdl-logs/fjdl-mnist.log" 2>&1 < /dev/null &
echo started fjdl-mnist'


## logs

# follows the log of machine 0; ctrl-c ends only that
gcloud compute tpus tpu-vm ssh fjdl-mnist --project=my-project --zone=us-west4-a --worker=0 \
  '--command=tail -n 50 -F "$HOME/fjdl-logs/fjdl-mnist.log"'


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist/logs

# copies the run from the bucket
gcloud storage rsync --recursive --project=my-project gs://my-runs/runs/fjdl-mnist runs/fjdl-mnist

# copies the log of machine 0
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/0.log \
  --project=my-project --zone=us-west4-a --worker=0

# copies the log of machine 1
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/1.log \
  --project=my-project --zone=us-west4-a --worker=1

# copies the log of machine 2
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/2.log \
  --project=my-project --zone=us-west4-a --worker=2

# copies the log of machine 3
gcloud compute tpus tpu-vm scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/3.log \
  --project=my-project --zone=us-west4-a --worker=3


## delete

# deletes the request and its machines with their disks
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute tpus queued-resources delete fjdl-mnist-qr --project=my-project --zone=us-west4-a --force \
  --quiet

# looks whether the request is gone
# must print nothing, otherwise the request is still there and holds its quota
gcloud compute tpus queued-resources list --project=my-project --zone=us-west4-a \
  '--filter=name~/fjdl-mnist-qr$' '--format=value(name)'

# looks whether the machines are gone
# must print nothing, otherwise the machines are still there and are billed
gcloud compute tpus tpu-vm list --project=my-project --zone=us-west4-a '--filter=name~/fjdl-mnist$' \
  '--format=value(name)'
