// MongoDB's health check in docker compose: healthy once it takes writes and knows the operator.
// The first checks form the one-node replica set and create the operator: until there is a user, MongoDB allows that to
// a client of its own machine.
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
