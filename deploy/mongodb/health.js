// MongoDB's health check in docker compose: healthy once it accepts writes and the operator exists.
// The first checks create the one-node replica set and the operator: without any user, MongoDB allows that to clients on
// its own machine.
const admin = db.getSiblingDB("admin");
const password = process.env.MONGO_PASSWORD;
const hello = db.hello();
if (!hello.setName) rs.initiate({ _id: "usher", members: [{ _id: 0, host: "mongo:27017" }] });
if (!hello.isWritablePrimary) quit(1);
try {
  admin.auth("usher", password);
} catch (error) {
  admin.createUser({ user: "usher", pwd: password, roles: ["root"] });
}
quit(0);
