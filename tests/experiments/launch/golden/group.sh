## create

# says how the chips of the slice are connected
# makes the workload policy fjdl-mnist, which costs nothing
# undone by: gcloud compute resource-policies delete fjdl-mnist --project=my-project --region=europe-west4 --quiet
gcloud compute resource-policies create workload-policy fjdl-mnist --project=my-project --region=europe-west4 \
  --type=HIGH_THROUGHPUT --accelerator-topology=4x4 --accelerator-topology-mode=AUTO_CONNECT

# describes one machine
# makes the instance template fjdl-mnist, which costs nothing
# undone by: gcloud compute instance-templates delete fjdl-mnist --project=my-project --region=europe-west4 --quiet
gcloud compute instance-templates create fjdl-mnist --project=my-project \
  --instance-template-region=europe-west4 --machine-type=ct6e-standard-4t \
  --image-project=ubuntu-os-accelerator-images --image-family=ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e \
  --boot-disk-size=200GB --maintenance-policy=TERMINATE --scopes=cloud-platform \
  --provisioning-model=FLEX_START --max-run-duration=168h --instance-termination-action=DELETE

# makes a group without machines
# makes the instance group fjdl-mnist, which costs nothing while it is empty
# undone by: gcloud compute instance-groups managed delete fjdl-mnist --project=my-project --zone=europe-west4-a --quiet
gcloud compute instance-groups managed create fjdl-mnist --project=my-project --zone=europe-west4-a --size=0 \
  --target-size-policy-mode=bulk --default-action-on-vm-failure=do-nothing \
  --template=projects/my-project/regions/europe-west4/instanceTemplates/fjdl-mnist \
  --workload-policy=projects/my-project/regions/europe-west4/resourcePolicies/fjdl-mnist

# asks for all machines at once
# makes 4 machines in fjdl-mnist, billed once they run until deleted, which happens by itself after 168 hours
# undone by: gcloud compute instance-groups managed delete fjdl-mnist --project=my-project --zone=europe-west4-a --quiet
# lost with it: the machines' disks; some minutes
gcloud compute instance-groups managed resize fjdl-mnist --project=my-project --zone=europe-west4-a --size=4

# waits for the machines, 6 hours at most
gcloud compute instance-groups managed wait-until fjdl-mnist --project=my-project --zone=europe-west4-a \
  --stable --timeout=21600


## sync

# makes the folder for the code's file
mkdir -p build

# packs the code, HEAD at 0123456789ab
git bundle create -q build/fjdl-mnist.bundle HEAD

# makes the ssh key, and waits until every machine takes it
# tried every 30 s until it succeeds, 10 times at most
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  xargs -P 16 -I @HOST@ gcloud compute ssh @HOST@ --project=my-project --zone=europe-west4-a --command=true

# copies the code to every machine
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  xargs -P 16 -I @HOST@ gcloud compute scp --recurse build/fjdl-mnist.bundle @HOST@:fjdl-mnist.bundle \
  --project=my-project --zone=europe-west4-a

# installs Python, the code and what it needs on every machine
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  xargs -P 16 -I @HOST@ gcloud compute ssh @HOST@ --project=my-project --zone=europe-west4-a '--command=set -eu
command -v git > /dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq git; }
[ -x "$HOME/.local/bin/uv" ] || curl -LsSf https://astral.sh/uv/install.sh | sh
[ -d "$HOME/fjdl" ] || git clone -q "$HOME/fjdl-mnist.bundle" "$HOME/fjdl"
git -C "$HOME/fjdl" fetch -q "$HOME/fjdl-mnist.bundle" HEAD
git -C "$HOME/fjdl" checkout -q --detach 0123456789abcdef0123456789abcdef01234567
[ -d "$HOME/venv" ] || "$HOME/.local/bin/uv" venv -q --python 3.12 "$HOME/venv"
VIRTUAL_ENV="$HOME/venv" "$HOME/.local/bin/uv" pip install -q -e "$HOME/fjdl[tpu]"'


## run

# starts the training on every machine; log: fjdl-logs/fjdl-mnist.log
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  xargs -P 16 -I @HOST@ gcloud compute ssh @HOST@ --project=my-project --zone=europe-west4-a '--command=set -eu
mkdir -p "$HOME/fjdl-logs"
flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" true || { echo fjdl-mnist is running already >&2; exit 1; }
cd "$HOME/fjdl"
. "$HOME/venv/bin/activate"
export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"
nohup setsid flock -n "$HOME/fjdl-logs/fjdl-mnist.lock" python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --bucket gs://my-runs/runs/fjdl-mnist --note '"'"'it'"'"'"'"'"'"'"'"'s a "test" of $HOME & co'"'"' >> "$HOME/fjdl-logs/fjdl-mnist.log" 2>&1 < /dev/null &
echo started fjdl-mnist'


## logs

# follows the log of machine 0; ctrl-c ends only that
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  sed -n 1p |
  xargs -I @HOST@ gcloud compute ssh @HOST@ --project=my-project --zone=europe-west4-a \
  '--command=tail -n 50 -F "$HOME/fjdl-logs/fjdl-mnist.log"'


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist/logs

# copies the run from the bucket
gcloud storage rsync --recursive --project=my-project gs://my-runs/runs/fjdl-mnist runs/fjdl-mnist

# copies the log of machine 0
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  sed -n 1p |
  xargs -I @HOST@ gcloud compute scp --recurse @HOST@:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/0.log \
  --project=my-project --zone=europe-west4-a

# copies the log of machine 1
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  sed -n 2p |
  xargs -I @HOST@ gcloud compute scp --recurse @HOST@:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/1.log \
  --project=my-project --zone=europe-west4-a

# copies the log of machine 2
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  sed -n 3p |
  xargs -I @HOST@ gcloud compute scp --recurse @HOST@:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/2.log \
  --project=my-project --zone=europe-west4-a

# copies the log of machine 3
gcloud compute instance-groups managed list-instances fjdl-mnist --project=my-project --zone=europe-west4-a \
  '--format=value(instance.basename())' '--sort-by=instance.basename()' |
  sed -n 4p |
  xargs -I @HOST@ gcloud compute scp --recurse @HOST@:fjdl-logs/fjdl-mnist.log runs/fjdl-mnist/logs/3.log \
  --project=my-project --zone=europe-west4-a


## delete

# deletes the group and its machines with their disks
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute instance-groups managed delete fjdl-mnist --project=my-project --zone=europe-west4-a --quiet

# deletes the template
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute instance-templates delete fjdl-mnist --project=my-project --region=europe-west4 --quiet

# deletes the workload policy
# the next command runs even if this one fails, as where there is nothing to delete
gcloud compute resource-policies delete fjdl-mnist --project=my-project --region=europe-west4 --quiet

# looks whether the machines are gone
# must print nothing, otherwise machines are still there and are billed
gcloud compute instances list --project=my-project --zones=europe-west4-a \
  '--filter=name~^fjdl-mnist-[a-z0-9]+$' '--format=value(name)'
