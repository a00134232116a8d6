## create

# makes the machine
# makes the instance fjdl-mnist, billed from now on until deleted, which happens by itself after 4 hours
# undone by: gcloud compute instances delete fjdl-mnist --project=my-project --zone=europe-west4-a --quiet
# lost with it: the machine's disk; a minute
gcloud compute instances create fjdl-mnist --project=my-project --zone=europe-west4-a \
  --machine-type=ct6e-standard-4t --image-project=ubuntu-os-accelerator-images \
  --image-family=ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e --boot-disk-size=400GB --maintenance-policy=TERMINATE \
  --scopes=cloud-platform --provisioning-model=SPOT --max-run-duration=4h --instance-termination-action=DELETE


## sync

# makes the folder for the code's file
mkdir -p build

# packs the code, HEAD at 0123456789ab
git bundle create -q build/fjdl-mnist.bundle HEAD

# makes the ssh key, and waits until every machine takes it
# tried every 30 s until it succeeds, 10 times at most
gcloud compute ssh fjdl-mnist --project=my-project --zone=europe-west4-a --command=true

# copies the code to every machine
gcloud compute scp --recurse build/fjdl-mnist.bundle fjdl-mnist:fjdl-mnist.bundle --project=my-project \
  --zone=europe-west4-a

# installs Python, the code and what it needs on every machine
gcloud compute ssh fjdl-mnist --project=my-project --zone=europe-west4-a '--command=set -eu
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
gcloud compute scp --recurse SECRETS_FILE fjdl-mnist:.fjdl-mnist.env --project=my-project \
  --zone=europe-west4-a

# starts the training on every machine; log: fjdl-logs/fjdl-mnist.log
gcloud compute ssh fjdl-mnist --project=my-project --zone=europe-west4-a '--command=set -eu
mkdir -p "$HOME/fjdl-logs"
flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" true || { echo fjdl-mnist is running already >&2; exit 1; }
cd "$HOME/fjdl"
. "$HOME/venv/bin/activate"
set -a; . "$HOME/.fjdl-mnist.env"; set +a
export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"
nohup setsid flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --bucket gs://my-runs/runs/fjdl-mnist >> "$HOME/fjdl-logs/fjdl-mnist.log" 2>&1 < /dev/null &
echo started fjdl-mnist'


## logs

# follows the log of machine 0; ctrl-c ends only that
gcloud compute ssh fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--command=tail -n 50 -F "$HOME/fjdl-logs/fjdl-mnist.log"'


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist/logs

# copies the run from the bucket
gcloud storage rsync --recursive --project=my-project gs://my-runs/runs/fjdl-mnist runs/fjdl-mnist

# copies the log of machine 0
gcloud compute scp --recurse fjdl-mnist:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/0.log \
  --project=my-project --zone=europe-west4-a


## delete

# deletes the machine with its disk
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute instances delete fjdl-mnist --project=my-project --zone=europe-west4-a --quiet

# looks whether the machine is gone
# must print nothing, otherwise the machine is still there and is billed
gcloud compute instances list --project=my-project --zones=europe-west4-a --filter=name=fjdl-mnist \
  '--format=value(name)'
